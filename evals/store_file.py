"""The file of a run store: laid out where it is new, refused where it is something else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from tts.errors import ConfigError
from tts.evals.remedies import remedy

__all__ = ["open_store_file"]

_LAYOUT: Final = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cells (key TEXT PRIMARY KEY, place INTEGER NOT NULL, cell TEXT NOT NULL);
CREATE TABLE planned (
    task TEXT NOT NULL, example TEXT NOT NULL, digest TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (task, example)
) WITHOUT ROWID;
CREATE TABLE rows (
    cell TEXT NOT NULL, example TEXT NOT NULL, digest TEXT NOT NULL, open INTEGER NOT NULL,
    row TEXT NOT NULL, texts TEXT NOT NULL, PRIMARY KEY (cell, example)
);
"""
_VERSION: Final = 0x74747305


def open_store_file(path: Path, *, read_only: bool, patience: float) -> sqlite3.Connection:
    """Return a connection to a run store, which commits each statement.

    Args:
        path: The file; made if it is missing, unless `read_only`.
        read_only: For readers; a file that is missing is refused.
        patience: Seconds to wait for another program that writes.

    Raises:
        ConfigError: If the file is missing, or no run store.
    """
    if read_only and not path.exists():
        raise ConfigError("no run store here", path=str(path))
    try:
        try:
            return _opened(path, "?mode=ro" if read_only else "", patience)
        except sqlite3.OperationalError:
            if not read_only or not _is_at_rest(path):
                raise
            # In a folder that cannot be written, a file with a log is read as it stands.
            return _opened(path, "?immutable=1", patience)
    except sqlite3.Error as error:
        raise ConfigError(
            f"the run store cannot be opened: {error}; {remedy(error)}", path=str(path)
        ) from error


def _opened(path: Path, how: str, patience: float) -> sqlite3.Connection:
    """Return a connection to a run store; laid out, if the file is new and may be written."""
    uri = path.resolve().as_uri() + how
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=patience)
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and how:
            raise ConfigError("nothing has been written here yet", path=str(path))
        if tables and found != _VERSION:
            raise ConfigError(
                "not a run store, or one of another version of tts: read it with the version that "
                "wrote it, or give another folder",
                path=str(path),
            )
        if not tables:
            connection.execute("PRAGMA journal_mode=WAL")
            layout = f"BEGIN; {_LAYOUT} PRAGMA user_version = {_VERSION}; COMMIT;"
            connection.executescript(layout)
        if not how:
            connection.execute("PRAGMA synchronous=FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_at_rest(path: Path) -> bool:
    """Return whether a file's log is empty: all that was written is in the file itself."""
    log = path.with_name(f"{path.name}-wal")
    return not log.exists() or not log.stat().st_size
