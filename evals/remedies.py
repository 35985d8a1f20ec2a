"""What helps where a file of a bench cannot be read or written."""

from __future__ import annotations

import sqlite3
from typing import Final

__all__ = ["DAMAGED", "remedy"]

DAMAGED: Final = (
    "the file is damaged: go back to an older copy, or save what can be read by "
    "`sqlite3 run.sqlite .recover`"
)
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "free the disk",
    sqlite3.SQLITE_IOERR: "see that the disk works and has room",
    sqlite3.SQLITE_BUSY: "close what holds the file",
    sqlite3.SQLITE_LOCKED: "close what holds the file",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_PERM: "make the file readable",
    sqlite3.SQLITE_CANTOPEN: "make the file readable and its folder writable, or copy the folder",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "it is no run store: give the folder of a bench",
}


def remedy(error: sqlite3.Error) -> str:
    """Return what helps against an error of SQLite's."""
    # Errors that Python's own module makes, as of a text that is no UTF-8, have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return _REMEDIES.get(code & 0xFF, "see that it is a run store, and whole")
