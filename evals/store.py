"""The run store: a SQLite file (WAL), a row per solved problem, written before it is shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tts.errors import ConfigError
from tts.evals.records import Cell, Row

__all__ = ["RunStore"]

_LAYOUT: Final = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cells (key TEXT PRIMARY KEY, place INTEGER NOT NULL, cell TEXT NOT NULL);
CREATE TABLE rows (
    cell TEXT NOT NULL, example TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (cell, example)
) WITHOUT ROWID;
"""
_VERSION: Final = 0x74747302


class RunStore:
    """The results of a suite, in one file that can be read while it is written.

    Args:
        path: The file; made if it is missing, unless `read_only`.
        read_only: For reports and live views.

    Raises:
        ConfigError: If the file is missing, or no run store.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise ConfigError("no run store here", path=str(path))
        try:
            uri = f"file:{path.resolve().as_posix()}" + ("?mode=ro" if read_only else "")
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
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
        self._connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)

    def about(self) -> dict[str, Any]:
        """Return the facts about the run."""
        found = self._connection.execute("SELECT key, value FROM about")
        return {key: json.loads(value) for key, value in found}

    def plan(self, cells: list[Cell]) -> None:
        """Keep the cells of the suite in their order; rows of others stay, and are not reported."""
        pairs = [(cell.key, place, cell.model_dump_json()) for place, cell in enumerate(cells)]
        self._connection.execute("BEGIN")
        self._connection.execute("DELETE FROM cells")
        self._connection.executemany("INSERT INTO cells VALUES (?, ?, ?)", pairs)
        self._connection.execute("COMMIT")

    def cells(self) -> list[Cell]:
        """Return the cells of the suite in their order."""
        found = self._connection.execute("SELECT cell FROM cells ORDER BY place")
        return [Cell.model_validate_json(text) for (text,) in found]

    def add(self, row: Row) -> None:
        """Write a row to the disk. A problem that has one already keeps the first."""
        values = (row.cell, row.example, row.model_dump_json())
        self._connection.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", values)

    def drop_failed(self) -> int:
        """Remove the rows of runs that failed, so that they are tried again; return how many."""
        failed = "json_extract(row, '$.status') = 'failed'"
        return self._connection.execute(f"DELETE FROM rows WHERE {failed}").rowcount

    def finished(self, cell: Cell) -> set[str]:
        """Return the ids of a cell's solved examples."""
        found = self._connection.execute("SELECT example FROM rows WHERE cell = ?", (cell.key,))
        return {example for (example,) in found}

    def count(self) -> int:
        """Return the number of rows, those of cells that are no longer planned included."""
        return int(self._connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    def row(self, cell: str, example: str) -> Row | None:
        """Return the row of a problem in the cell of that key; None if it is not solved yet."""
        asked = "SELECT row FROM rows WHERE cell = ? AND example = ?"
        found = self._connection.execute(asked, (cell, example)).fetchone()
        return None if found is None else Row.model_validate_json(found[0])

    def rows(self, cell: Cell) -> Iterator[Row]:
        """Yield a cell's rows by example id."""
        asked = "SELECT row FROM rows WHERE cell = ? ORDER BY example"
        for (text,) in self._connection.execute(asked, (cell.key,)):
            yield Row.model_validate_json(text)
