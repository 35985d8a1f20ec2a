"""The harness: fills the cells of a suite, a row at a time, into the run store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from tts.errors import ConfigError
from tts.evals.bill import Bill
from tts.evals.entry import Entry
from tts.evals.executor import Executor, Job, Local
from tts.evals.keeping import Calls, open_calls
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore, StoreFailed
from tts.evals.suite import Suite
from tts.evals.tasks.base import Example
from tts.evals.tries import Spent
from tts.mistakes import describe

__all__ = ["Harness"]


@dataclass(slots=True)
class Harness:
    """Solves what a suite asks and a store does not yet hold. Making one writes nothing.

    Args:
        suite: The grid.
        calls: The file where finished calls are kept.
        limit: Most problems a task.
        executor: Where the work is done.
        on_row: Told of each row once it is on the disk.

    Attributes:
        cells: The grid's places, in their order.
        planned: Problems of each cell, by its key.
        examples: All problems of each task, by its title.

    Raises:
        ConfigError: If the suite cannot be put together, or a task has no problems to give.
    """

    suite: Suite
    calls: Path
    limit: int | None = None
    executor: Executor = field(default_factory=Local)
    on_row: Callable[[Cell, Row], None] | None = None
    cells: list[Cell] = field(init=False)
    planned: dict[str, int] = field(init=False)
    examples: dict[str, tuple[Example, ...]] = field(init=False)
    _work: list[tuple[Sequence[Entry], tuple[Example, ...]]] = field(init=False)
    _kept: Calls | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        entries = self.suite.entries()
        for place, task in enumerate(self.suite.tasks):
            try:
                _ = task.checker  # one that cannot work must say so before anything is spent
            except (ConfigError, ValidationError) as error:
                message = error.message if isinstance(error, ConfigError) else describe(error)
                raise self.suite.mistake(message, "tasks", place) from error
        self.cells = [entry.cell for entry in entries]
        groups: dict[tuple[str, str, int], list[Entry]] = defaultdict(list)
        for entry in entries:
            groups[entry.cell.task, entry.cell.model, entry.cell.seed].append(entry)
        self._work, self.planned = [], {}
        self.examples = self.suite.examples()
        for group in groups.values():
            examples = self.examples[group[0].task.title][: self.limit]
            self._work.append((sorted(group, key=lambda entry: -entry.detail), examples))
            self.planned |= {entry.key: len(examples) for entry in group}

    def jobs(self, store: RunStore) -> list[Job]:
        """Return what a store does not hold yet."""
        done = {cell.key: store.finished(cell) for cell in self.cells}
        tried = {cell.key: store.open_rows(cell) for cell in self.cells}
        jobs = []
        for entries, examples in self._work:
            for example in examples:
                digest = example.digest
                missing = tuple(e.key for e in entries if done[e.key].get(example.id) != digest)
                place = (example.id, digest)
                old = {key: tried[key][place] for key in missing if place in tried[key]}
                if missing:
                    again = {key: row.tried for key, row in old.items() if row.tried is not None}
                    unjudged = {key: row for key, row in old.items() if row.status != "failed"}
                    jobs.append(Job(example, missing, again, unjudged))
        return jobs

    @contextmanager
    def paying(self, store: RunStore) -> Iterator[Bill]:
        """Open the bill: what all calls have cost that were ever made for this store.

        Raises:
            ConfigError: If the file of calls cannot be opened.
        """
        with self._opened(store) as calls:
            yield calls.bill

    @contextmanager
    def _opened(self, store: RunStore) -> Iterator[Calls]:
        """Open the kept calls, once at a time: who tells what was paid must know of all of it."""
        if self._kept is not None:
            yield self._kept
            return
        with open_calls(self.calls) as calls:
            calls.bill.raise_to(Spent.model_validate(store.about().get("paid", {})))
            self._kept = calls
            try:
                yield calls
            finally:
                self._kept = None

    async def run(self, store: RunStore) -> list[str]:
        """Solve what is missing; return what went wrong without costing a row.

        Cancelled, it keeps all finished rows and calls. Spends what the strategies spend.

        Args:
            store: Where rows go; what is there already is not solved again.

        Raises:
            AuthenticationError: If a key is missing or wrong.
            ConfigError: If a model cannot be opened, or lacks what a strategy needs.
        """
        cells = {cell.key: cell for cell in self.cells}
        with self._opened(store) as calls:
            bill = calls.bill

            def keep(row: Row) -> None:
                store.add(row, bill.total())
                if self.on_row is not None:
                    self.on_row(cells[row.cell], row)

            try:
                troubles = await self.executor.run(self.suite, self.jobs(store), calls, keep)
            except BaseException:  # problems without a row have paid for calls too
                with suppress(StoreFailed):
                    store.tell({"paid": bill.total().model_dump()})
                raise
            store.tell({"paid": bill.total().model_dump()})
            return troubles
