"""Answers in a SQLite file that several processes may share.

Reads and writes take microseconds and are done on the event loop's thread; none waits for a lock.
What cannot be written because another process is writing is kept and written with the next.
"""

from __future__ import annotations

import math
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from tts.backends.policy import Cache
from tts.errors import ConfigError

__all__ = ["Store", "StoreStats", "is_busy", "open_store", "store_path"]

_APPLICATION: Final = 0x74747301  # "tts", and the number of the layout below
_PATIENCE_MS: Final = 5000
"""Milliseconds that opening and closing wait for other processes; nothing else waits."""
_SWEEP: Final = 64
"""Most answers removed at once: what there is too much of goes bit by bit."""
_UNWRITTEN: Final = 1024
"""Most answers kept while the file cannot be written."""
_KIND: Final = 0xFF
"""The part of SQLite's error codes that tells kinds apart."""
_DAY: Final = 86_400.0
_LAYOUT: Final = f"""
BEGIN;
CREATE TABLE answers (
    id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, answer BLOB NOT NULL, made REAL NOT NULL
);
CREATE TABLE totals (entries INTEGER, bytes INTEGER, hits INTEGER, misses INTEGER);
INSERT INTO totals VALUES (0, 0, 0, 0);
CREATE TRIGGER added AFTER INSERT ON answers BEGIN
    UPDATE totals SET entries = entries + 1, bytes = bytes + length(new.answer);
END;
CREATE TRIGGER removed AFTER DELETE ON answers BEGIN
    UPDATE totals SET entries = entries - 1, bytes = bytes - length(old.answer);
END;
PRAGMA application_id = {_APPLICATION};
COMMIT;
"""


class StoreStats(NamedTuple):
    """What a store holds, and how it was used since it was made or cleared."""

    entries: int
    bytes: int
    hits: int
    misses: int
    oldest: float | None
    """When the oldest answer was made, in seconds since 1970."""


class Store:
    """An open file of answers.

    A file that fails while it is used costs its answers, never a call: reads find nothing, writes
    are dropped, and `failure` says why.

    Args:
        connection: The open file.
        max_bytes: Above this, the oldest answers are removed.
        max_seconds: Answers that are older are not found.

    Attributes:
        connection: For what else lies in the file.
        failure: Why some of it could not be read or written; None if all could.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, max_bytes: float, max_seconds: float
    ) -> None:
        self.connection = connection
        self._max_bytes, self._max_seconds = max_bytes, max_seconds
        self._unwritten: dict[bytes, tuple[bytes, float]] = {}
        self._hits = self._misses = 0
        self.failure: sqlite3.Error | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the answer, or None."""
        found = self._unwritten.get(key) or self._read(key)
        if found is None or self._is_old(found[1]):
            self._misses += 1
            return None
        self._hits += 1
        return found[0]

    def peek(self, key: bytes) -> bytes | None:
        """Return what is kept, without counting it as an answer that was found or missed."""
        found = self._read(key)
        return None if found is None or self._is_old(found[1]) else found[0]

    def put(self, key: bytes, answer: bytes) -> None:
        """Keep an answer; one that is there already is replaced."""
        if len(self._unwritten) < _UNWRITTEN:
            self._unwritten[key] = (answer, time.time())
        self._write()

    def stats(self) -> StoreStats:
        """Return what it holds."""
        row = self.connection.execute(
            "SELECT entries, bytes, hits, misses, (SELECT made FROM answers ORDER BY id LIMIT 1)"
            " FROM totals"
        ).fetchone()
        return StoreStats(*row)

    def clear(self) -> int:
        """Remove everything; return how many answers there were.

        Raises:
            ConfigError: If another process keeps the file busy.
        """
        entries = self.stats().entries
        try:
            self.connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            self.connection.execute("DELETE FROM answers")
            self.connection.execute("UPDATE totals SET hits = 0, misses = 0")
            self.connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise ConfigError(f"cannot clear the cache: {error}; try again") from error
        return entries

    def close(self) -> None:
        """Write what is still unwritten, and close the file."""
        try:
            self.connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            if self._unwritten:
                self._write()
            if self._hits or self._misses:
                self.connection.execute(
                    "UPDATE totals SET hits = hits + ?, misses = misses + ?",
                    (self._hits, self._misses),
                )
        except sqlite3.Error as error:
            self.failure = error
        finally:
            self.connection.close()

    def _is_old(self, made: float) -> bool:
        return made < time.time() - self._max_seconds

    def _read(self, key: bytes) -> tuple[bytes, float] | None:
        try:
            row = self.connection.execute(
                "SELECT answer, made FROM answers WHERE key = ?", (key,)
            ).fetchone()
        except sqlite3.Error as error:
            self.failure = error
            return None
        return None if row is None else (row[0], row[1])

    def _write(self) -> None:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.executemany(
                    "REPLACE INTO answers (key, answer, made) VALUES (?, ?, ?)",
                    [(key, answer, made) for key, (answer, made) in self._unwritten.items()],
                )
                self._sweep()
                self.connection.execute("COMMIT")
            except BaseException:
                self.connection.rollback()
                raise
            self._unwritten.clear()
        except sqlite3.Error as error:
            if not is_busy(error):
                self.failure = error
                self._unwritten.clear()

    def _sweep(self) -> None:
        """Remove some of the oldest answers, if they are too old or all too large."""
        stats = self.stats()
        too_old = time.time() - self._max_seconds
        if stats.bytes > self._max_bytes or (stats.oldest or math.inf) < too_old:
            self.connection.execute(
                "DELETE FROM answers WHERE id IN (SELECT id FROM (SELECT id, made, sum(length("
                "answer)) OVER (ORDER BY id) - length(answer) AS before FROM (SELECT * FROM answers"
                " ORDER BY id LIMIT ?)) WHERE made < ? OR before < ?)",
                (_SWEEP, too_old, stats.bytes - self._max_bytes),
            )


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another process keeps a file busy: what failed may work the next time."""
    # Errors that Python's own module makes have no code.
    return getattr(error, "sqlite_errorcode", 0) & _KIND == sqlite3.SQLITE_BUSY


def store_path(settings: Cache) -> Path:
    """Return the file that the settings name, or the user's own."""
    if settings.path is not None:
        return settings.path.expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tts" / "calls.sqlite"


@contextmanager
def open_store(settings: Cache, *, survives_power: bool = False) -> Iterator[Store]:
    """Open a file of answers, made if it is not there, and close it on the way out.

    Only its owner can read the file: answers may be private. Prompts are not in it, only digests.

    Args:
        settings: Which file, and how much it may hold.
        survives_power: A machine that goes down costs the last answers, and not the file.

    Raises:
        ConfigError: If the file cannot be opened, or is something else.
    """
    path = store_path(settings)
    try:
        if not path.exists():
            _make(path)
        connection = _connect(path)
        if survives_power:
            connection.execute("PRAGMA synchronous = NORMAL")
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"cannot use {path} as a cache: {error}; name another file as its path"
        ) from error
    store = Store(
        connection,
        max_bytes=settings.max_megabytes * 1e6,
        max_seconds=settings.max_days * _DAY,
    )
    try:
        yield store
    finally:
        store.close()


def _make(path: Path) -> None:
    """Make a file; whoever opens it, in any process, sees it complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    try:
        connection = sqlite3.connect(draft, isolation_level=None)
        _lay_out(connection)
        connection.close()
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, path)
    finally:
        draft.unlink()


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_LAYOUT)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file, and refuse one that is not ours."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE_MS / 1000)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION:
            raise sqlite3.DatabaseError("it is something else, or of another version")
        # What a power failure may cost is the cache, and a sync would hold up the event loop.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA recursive_triggers = ON")  # what is replaced is removed
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
