"""The run store: a SQLite file (WAL), a row per solved problem, written before it is shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pydantic_core import PydanticSerializationError

from tts.errors import ConfigError, TTSError
from tts.evals.records import Cell, Row
from tts.evals.remedies import DAMAGED, remedy
from tts.evals.tasks.base import Example
from tts.evals.tries import Spent

__all__ = ["RunStore", "StoreFailed"]

_T = TypeVar("_T")

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
_PATIENCE: Final = 30.0
_LONGEST: Final = 200
"""Characters that are told of why something cannot be read."""
_TEXTS: Final[dict[str, Any]] = {"trace": True, "text": True, "draws": {"__all__": {"text": True}}}
"""What stands in a column of its own, so that figures are read without it."""
_VALID: Final = """
    (NOT EXISTS (SELECT 1 FROM planned WHERE task = :task) OR EXISTS (
        SELECT 1 FROM planned AS p
        WHERE p.task = :task AND p.example = rows.example AND p.digest = rows.digest))
"""
_ADD: Final = """
INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (cell, example) DO UPDATE
SET digest = excluded.digest, open = excluded.open, row = excluded.row, texts = excluded.texts
WHERE rows.digest <> excluded.digest OR rows.open AND (
    excluded.row ->> 'status' <> 'failed' OR rows.row ->> 'status' = 'failed')
"""
_TRIED: Final = """
UPDATE rows SET row = json_set(row, '$.tried', json(?))
WHERE cell = ? AND example = ? AND digest = ? AND open
"""


class StoreFailed(TTSError):
    """The run store could not be written, where what was written before is safe, or not be read."""


class RunStore:
    """The results of a suite, in one file that can be read while it is written.

    Args:
        path: The file; made if it is missing, unless `read_only`.
        read_only: For reports and live views.
        patience: Seconds to wait for another program that writes.

    Raises:
        ConfigError: If the file is missing, or no run store.
    """

    def __init__(self, path: Path, *, read_only: bool = False, patience: float = _PATIENCE) -> None:
        if read_only and not path.exists():
            raise ConfigError("no run store here", path=str(path))
        try:
            try:
                self._connection = _opened(path, "?mode=ro" if read_only else "", patience)
            except sqlite3.OperationalError:
                if not read_only or not _is_at_rest(path):
                    raise
                # In a folder that cannot be written, a file with a log is read as it stands.
                self._connection = _opened(path, "?immutable=1", patience)
        except sqlite3.Error as error:
            raise ConfigError(
                f"the run store cannot be opened: {error}; {remedy(error)}", path=str(path)
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def tell(self, about: dict[str, Any]) -> None:
        """Keep facts about the run, such as the suite, versions and when it began; JSON values."""
        with self._written():
            self._tell(about)

    def _tell(self, about: Mapping[str, Any]) -> None:
        pairs = [(key, json.dumps(value)) for key, value in about.items()]
        self._connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)

    def about(self) -> dict[str, Any]:
        """Return the facts about the run."""
        return dict(self._asked(_fact, "SELECT key, value FROM about"))

    def plan(
        self, cells: Sequence[Cell], examples: Mapping[str, Sequence[Example]] | None = None
    ) -> None:
        """Keep the suite's cells in their order; rows of others stay, and are not reported.

        Args:
            cells: The cells.
            examples: All problems of each task, by its title. Rows of others, or of a problem that
                has changed since, are not reported either; of a task that is missing all are.

        Raises:
            StoreFailed: If it cannot be written.
        """
        pairs = [(cell.key, place, cell.model_dump_json()) for place, cell in enumerate(cells)]
        known = [
            (task, each.id, each.digest, place)
            for task, own in (examples or {}).items()
            for place, each in enumerate(own)
        ]
        with self._written():
            self._connection.execute("DELETE FROM cells")
            self._connection.execute("DELETE FROM planned")
            self._connection.executemany("INSERT INTO cells VALUES (?, ?, ?)", pairs)
            self._connection.executemany("INSERT OR IGNORE INTO planned VALUES (?, ?, ?, ?)", known)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write all of it, or nothing."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise
        except sqlite3.Error as error:
            raise StoreFailed(
                f"the run store cannot be written: {error}; {remedy(error)}, and go on with "
                "--resume: results that were written before are safe"
            ) from error

    def _asked(self, make: Callable[..., _T], query: str, given: Any = ()) -> Iterator[_T]:
        """Yield what is made of each row of a query.

        Raises:
            StoreFailed: If the file cannot be read, or holds what nobody can make anything of.
        """
        try:
            for found in self._connection.execute(query, given):
                yield make(*found)
        except sqlite3.Error as error:
            raise StoreFailed(f"the run store cannot be read: {error}; {remedy(error)}") from error
        except ValueError as error:  # no JSON, no row
            told = " ".join(str(error).split())[:_LONGEST]
            raise StoreFailed(f"the run store cannot be read: {told}; {DAMAGED}") from error

    def cells(self) -> list[Cell]:
        """Return the cells of the suite in their order."""
        asked = "SELECT cell FROM cells ORDER BY place"
        return list(self._asked(Cell.model_validate_json, asked))

    def planned(self) -> dict[str, dict[str, str]]:
        """Return the digests of each task's problems by their ids, in the order of the plan."""
        found: dict[str, dict[str, str]] = {}
        asked = "SELECT task, example, digest FROM planned ORDER BY task, place"
        for task, example, digest in self._asked(_alone, asked):
            found.setdefault(task, {})[example] = digest
        return found

    def add(self, row: Row, paid: Spent | None = None) -> None:
        """Write a row to the disk.

        A problem that has one keeps the first, unless that one failed, could not be judged, or is
        of a problem that has changed since. A try that failed replaces none that did not fail; what
        it has paid is noted there.

        Args:
            row: The row.
            paid: What the run has paid so far in all, if that is to be kept with it.

        Raises:
            StoreFailed: If it cannot be written.
        """
        texts = {"trace": row.trace, "text": row.text, "draws": [draw.text for draw in row.draws]}
        values = (row.cell, row.example, row.digest, row.is_open, _dumped(row), _encoded(texts))
        with self._written():
            if not self._connection.execute(_ADD, values).rowcount and row.tried is not None:
                tried = row.tried.model_dump_json()
                self._connection.execute(_TRIED, (tried, row.cell, row.example, row.digest))
            if paid is not None:
                self._tell({"paid": paid.model_dump()})

    def finished(self, cell: Cell) -> dict[str, str]:
        """Return the ids of a cell's solved examples, with the digest of what they said."""
        asked = "SELECT example, digest FROM rows WHERE cell = ? AND NOT open"
        return dict(self._asked(_alone, asked, (cell.key,)))

    def open_rows(self, cell: Cell) -> dict[tuple[str, str], Row]:
        """Return a cell's rows that failed or could not be judged, by id and digest."""
        asked = "SELECT row, texts FROM rows WHERE cell = ? AND open"
        rows = self._asked(_whole, asked, (cell.key,))
        return {(row.example, row.digest): row for row in rows}

    def count(self) -> int:
        """Return the number of rows, those of cells that are no longer planned included."""
        return next(self._asked(int, "SELECT count(*) FROM rows"))

    def count_open(self) -> int:
        """Return the number of rows that failed or could not be judged."""
        return next(self._asked(int, "SELECT count(*) FROM rows WHERE open"))

    def row(self, cell: str, example: str) -> Row | None:
        """Return the row of a problem in the cell of that key; None if it is not solved yet."""
        asked = "SELECT row, texts FROM rows WHERE cell = ? AND example = ?"
        return next(self._asked(_whole, asked, (cell, example)), None)

    def rows(self, cell: Cell, *, texts: bool = True) -> Iterator[Row]:
        """Yield a cell's rows by example id.

        Args:
            cell: The cell.
            texts: With what was said, and the trace; without them a row is small.
        """
        columns = "row, texts" if texts else "row"
        asked = f"SELECT {columns} FROM rows WHERE cell = :cell AND {_VALID} ORDER BY example"
        yield from self._asked(_whole, asked, {"cell": cell.key, "task": cell.task})


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


def _alone(*found: Any) -> Any:
    return found


def _fact(key: str, value: str) -> tuple[str, Any]:
    return key, json.loads(value)


def _dumped(row: Row) -> str:
    left_out = dict(_TEXTS)
    if not row.earlier.tries:
        left_out["earlier"] = True
    if row.tried is None:
        left_out["tried"] = True
    try:
        return row.model_dump_json(exclude=left_out)
    except PydanticSerializationError:  # half of a surrogate pair, which no file can hold
        return _encoded(row.model_dump(exclude=left_out))


def _encoded(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole(row: str, texts: str | None = None) -> Row:
    """Return a row with its texts, where they are given."""
    found = Row.model_validate_json(row)
    if texts is None:
        return found
    said = json.loads(texts)
    draws = tuple(
        draw.model_copy(update={"text": text})
        for draw, text in zip(found.draws, said["draws"], strict=True)
    )
    more = {"trace": tuple(said["trace"]), "text": said["text"], "draws": draws}
    return found.model_copy(update=more)
