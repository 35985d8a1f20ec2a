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

from tts.errors import TTSError
from tts.evals.records import Cell, Row
from tts.evals.remedies import DAMAGED, remedy
from tts.evals.store_file import open_store_file
from tts.evals.tasks.base import Example
from tts.evals.tries import Spent

__all__ = ["RunStore", "StoreFailed"]

_T = TypeVar("_T")

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
_TELL: Final = """
INSERT INTO about VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
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
        self._connection = open_store_file(path, read_only=read_only, patience=patience)

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
        self._connection.executemany(_TELL, pairs)

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
                yield _made(make, found)
        except sqlite3.ProgrammingError:  # it was closed
            raise
        except sqlite3.Error as error:
            raise StoreFailed(f"the run store cannot be read: {error}; {remedy(error)}") from error

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


def _made(make: Callable[..., _T], found: Sequence[Any]) -> _T:
    try:
        return make(*found)
    except (ValueError, TypeError, KeyError) as error:  # no JSON, or of another shape
        message = "it holds a text that nobody can make anything of"
        raise StoreFailed(f"the run store cannot be read: {message}; {DAMAGED}") from error


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
