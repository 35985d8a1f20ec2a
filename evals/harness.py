"""The harness: fills the cells of a suite, a row at a time, into the run store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from tts.errors import ConfigError
from tts.evals.records import Cell, Row
from tts.evals.solving import solve_example
from tts.evals.store import RunStore
from tts.evals.suite import Entry, Suite
from tts.evals.tasks.base import Example
from tts.layers import Stack
from tts.layers.store import Store
from tts.pipeline import Pipeline
from tts.solver import Solver, open_solver
from tts.tasks import first_error

__all__ = ["Harness", "Unit", "open_lineups", "units_of"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A problem that is solved by several cells, one after the other: all of one model and seed.

    So who draws a sample first, and who shares it, does not depend on timing.
    """

    example: Example
    entries: tuple[Entry, ...]


def units_of(entries: Sequence[Entry], limit: int | None = None) -> list[Unit]:
    """Return the work of a suite: every cell on every problem of its task.

    Args:
        entries: The cells.
        limit: Most problems a task.

    Raises:
        ConfigError: If the problems of a task cannot be had.
    """
    places: dict[tuple[str, str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        places[entry.cell.task, entry.cell.model, entry.cell.seed].append(entry)
    units = []
    for group in places.values():
        order = tuple(sorted(group, key=lambda entry: -entry.detail))
        units += [Unit(example, order) for example in group[0].task.examples()[:limit]]
    return units


@dataclass(slots=True)
class Harness:
    """Solves what a suite asks and its store does not yet hold.

    Args:
        suite: The grid.
        store: Where rows go; what is there already is not solved again.
        calls: Where finished calls are kept.
        limit: Most problems a task.
        on_row: Told of each row once it is on the disk.
        entries: The cells.
        units: The work, what is done included.
    """

    suite: Suite
    store: RunStore
    calls: Store
    limit: int | None = None
    on_row: Callable[[Cell, Row], None] | None = None
    entries: list[Entry] = field(init=False)
    units: list[Unit] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = self.suite.entries()
        self.units = units_of(self.entries, self.limit)

    @property
    def planned(self) -> dict[str, int]:
        """Problems of each cell, by its key."""
        counts: dict[str, int] = defaultdict(int)
        for unit in self.units:
            for entry in unit.entries:
                counts[entry.cell.key] += 1
        return counts

    async def run(self) -> None:
        """Solve what is missing, `suite.concurrency` problems at once.

        Cancelled, it keeps all finished rows and calls. Spends what the strategies spend.

        Raises:
            AuthenticationError: If a key is missing or wrong.
            ConfigError: If a model cannot be opened, or lacks what a strategy needs.
        """
        done = {entry.cell.key: self.store.finished(entry.cell) for entry in self.entries}
        slots = anyio.Semaphore(self.suite.concurrency)
        async with open_lineups(self.suite, self.entries) as lineups:
            with first_error():
                async with anyio.create_task_group() as tasks:
                    for unit in self.units:
                        missing = [
                            entry
                            for entry in unit.entries
                            if unit.example.id not in done[entry.cell.key]
                        ]
                        if missing:
                            await slots.acquire()
                            tasks.start_soon(self._solve, unit.example, missing, lineups, slots)

    async def _solve(
        self,
        example: Example,
        entries: Sequence[Entry],
        lineups: Mapping[str, Mapping[str, Stack]],
        slots: anyio.Semaphore,
    ) -> None:
        try:
            for entry in entries:
                row = await solve_example(
                    entry,
                    example,
                    lineups[entry.cell.model],
                    self.calls,
                    keep=self.suite.keep,
                    share=self.suite.share,
                )
                self.store.add(row)
                if self.on_row is not None:
                    self.on_row(entry.cell, row)
        finally:
            slots.release()


@asynccontextmanager
async def open_lineups(
    suite: Suite, entries: Sequence[Entry]
) -> AsyncIterator[dict[str, Mapping[str, Stack]]]:
    """Open the models of a suite, and refuse what cannot work before a call is paid for.

    Raises:
        ConfigError: If a model cannot be opened, or lacks what a strategy needs of it.
    """
    async with AsyncExitStack() as opened:
        lineups = {}
        for name, lineup in suite.models.items():
            plain = Pipeline(
                models=lineup.models,
                concurrency=lineup.concurrency,
                strategy={"use": "self_consistency", "samples": 1, "stop": "never"},  # type: ignore[arg-type]  # parsed by the field
            )
            try:
                solver = await opened.enter_async_context(open_solver(plain))
            except ConfigError as error:
                raise suite.mistake(error.message, "models", name) from error
            lineups[name] = solver.stacks
        for entry in entries:
            try:
                Solver(entry.pipeline, lineups[entry.cell.model])
            except ConfigError as error:
                raise suite.mistake(error.message, *entry.place) from error
        yield lineups
