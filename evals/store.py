"""The run store: a SQLite file (WAL), a row per solved problem, written before it is shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic_core import PydanticSerializationError

from tts.errors import ConfigError, TTSError
from tts.evals.records import Cell, Row
from tts.evals.tasks.base import Example
from tts.evals.tries import Tried

__all__ = ["RunStore", "StoreFailed"]

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
_VERSION: Final = 0x74747304
_PATIENCE: Final = 30.0
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


class StoreFailed(TTSError):
    """The run store could not be written; what was written before is safe."""


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
            uri = path.resolve().as_uri() + ("?mode=ro" if read_only else "")
            self._connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=patience
            )
            if not read_only:
                self._prepare()
            if self._connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                raise ConfigError("not a run store of this version", path=str(path))
        except sqlite3.Error as error:
            raise ConfigError(f"not a run store: {error}", path=str(path)) from error

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        if not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            layout = f"BEGIN; {_LAYOUT} PRAGMA user_version = {_VERSION}; COMMIT;"
            self._connection.executescript(layout)

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
        pairs = [(key, json.dumps(value)) for key, value in about.items()]
        with _told_failures():
            self._connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)

    def about(self) -> dict[str, Any]:
        """Return the facts about the run."""
        found = self._connection.execute("SELECT key, value FROM about")
        return {key: json.loads(value) for key, value in found}

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
        with _told_failures():
            self._connection.execute("BEGIN")
            try:
                self._connection.execute("DELETE FROM cells")
                self._connection.execute("DELETE FROM planned")
                self._connection.executemany("INSERT INTO cells VALUES (?, ?, ?)", pairs)
                self._connection.executemany(
                    "INSERT OR IGNORE INTO planned VALUES (?, ?, ?, ?)", known
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._connection.rollback()
                raise

    def cells(self) -> list[Cell]:
        """Return the cells of the suite in their order."""
        found = self._connection.execute("SELECT cell FROM cells ORDER BY place")
        return [Cell.model_validate_json(text) for (text,) in found]

    def planned(self) -> dict[str, dict[str, str]]:
        """Return the digests of each task's problems by their ids, in the order of the plan."""
        found: dict[str, dict[str, str]] = {}
        asked = "SELECT task, example, digest FROM planned ORDER BY task, place"
        for task, example, digest in self._connection.execute(asked):
            found.setdefault(task, {})[example] = digest
        return found

    def add(self, row: Row) -> None:
        """Write a row to the disk.

        A problem that has one keeps the first, unless that one failed, could not be judged, or is
        of a problem that has changed since. A try that failed replaces none that did not fail.

        Raises:
            StoreFailed: If it cannot be written.
        """
        texts = {"trace": row.trace, "text": row.text, "draws": [draw.text for draw in row.draws]}
        values = (row.cell, row.example, row.digest, row.is_open, _dumped(row), _encoded(texts))
        with _told_failures():
            self._connection.execute(_ADD, values)

    def finished(self, cell: Cell) -> dict[str, str]:
        """Return the ids of a cell's solved examples, with the digest of what they said."""
        asked = "SELECT example, digest FROM rows WHERE cell = ? AND NOT open"
        return dict(self._connection.execute(asked, (cell.key,)).fetchall())

    def tried(self, cell: Cell) -> dict[tuple[str, str], Tried]:
        """Return what the tries of a cell's open problems have paid, by id and digest."""
        asked = "SELECT row FROM rows WHERE cell = ? AND open"
        rows = [_whole(text) for (text,) in self._connection.execute(asked, (cell.key,))]
        return {(row.example, row.digest): row.tried for row in rows if row.tried is not None}

    def count(self) -> int:
        """Return the number of rows, those of cells that are no longer planned included."""
        return int(self._connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    def count_open(self) -> int:
        """Return the number of rows that failed or could not be judged."""
        return int(self._connection.execute("SELECT count(*) FROM rows WHERE open").fetchone()[0])

    def row(self, cell: str, example: str) -> Row | None:
        """Return the row of a problem in the cell of that key; None if it is not solved yet."""
        asked = "SELECT row, texts FROM rows WHERE cell = ? AND example = ?"
        found = self._connection.execute(asked, (cell, example)).fetchone()
        return None if found is None else _whole(*found)

    def rows(self, cell: Cell, *, texts: bool = True) -> Iterator[Row]:
        """Yield a cell's rows by example id.

        Args:
            cell: The cell.
            texts: With what was said, and the trace; without them a row is small.
        """
        columns = "row, texts" if texts else "row"
        asked = f"SELECT {columns} FROM rows WHERE cell = :cell AND {_VALID} ORDER BY example"
        for found in self._connection.execute(asked, {"cell": cell.key, "task": cell.task}):
            yield _whole(*found)


@contextmanager
def _told_failures() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreFailed(
            f"the run store cannot be written: {error}; free the disk, or close what holds the "
            "file, and go on with --resume: finished calls are kept"
        ) from error


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
