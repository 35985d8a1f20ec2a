"""Where the problems of a bench are solved: in this process, or wherever an executor has workers.

The harness says what is missing, as jobs; an executor solves them with workers, and hands each row
back in the harness's own event loop, which alone writes the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import anyio

from tts.errors import ConfigError
from tts.evals.bill import Bill
from tts.evals.entry import Entry
from tts.evals.keeping import Calls
from tts.evals.records import Row
from tts.evals.solving import judge_again, solve_example
from tts.evals.suite import Suite
from tts.evals.tasks.base import Example
from tts.evals.tries import Spent, Tried
from tts.layers import Stack, open_stacks
from tts.preflight import check_pipeline
from tts.tasks import first_error
from tts.tool_calls import Turns

__all__ = ["Executor", "Job", "Local", "Worker", "open_worker"]


@dataclass(frozen=True, slots=True)
class Job:
    """A problem that is solved by several cells, one after the other: all of one model and seed.

    So who draws a sample first, and who shares it, does not depend on timing. It can be pickled.
    """

    example: Example
    cells: tuple[str, ...]
    """Keys of the cells that have not solved it yet, in their order."""
    tried: Mapping[str, Tried] = field(default_factory=dict)
    """What earlier tries have paid, by the keys of those cells that had some."""
    unjudged: Mapping[str, Row] = field(default_factory=dict)
    """Rows of those cells whose checker had failed: judged again, solved only if need be."""

    def and_killed(self) -> Job:
        """Return the job after one more try, which ended with its worker.

        Which cell was under way nobody can tell; the first one that is solved has it, so that it
        counts once.
        """
        first = next((key for key in self.cells if key not in self.unjudged), self.cells[0])
        return replace(
            self, tried={**self.tried, first: self.tried.get(first, Tried()).and_killed()}
        )

    def lost(self, key: str, error: str) -> Row:
        """Return the row of a cell that nobody could solve, with what its tries have paid."""
        tried = self.tried.get(key, Tried())
        return Row(
            cell=key,
            example=self.example.id,
            digest=self.example.digest,
            problem=str(self.example.problem),
            right_answer=self.example.answer,
            extra=self.example.extra,
            status="failed",
            error=error,
            earlier=tried.settled(()),
            tried=tried,
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )


class Executor(Protocol):
    """Solves jobs somewhere."""

    async def run(
        self, suite: Suite, jobs: Sequence[Job], calls: Calls, on_row: Callable[[Row], None]
    ) -> list[str]:
        """Solve all jobs; return what went wrong without costing a row.

        Args:
            suite: Says how; it can be pickled.
            jobs: The work.
            calls: The finished calls; workers on other machines have a file of their own.
            on_row: Called in this event loop with each row, once it is complete.

        Raises:
            AuthenticationError: If a key is missing or wrong.
            ConfigError: If a model cannot be opened, or lacks what a strategy needs.
        """
        ...


class Worker:
    """Open models that solve jobs of a suite; see `open_worker`.

    Args:
        suite: The suite.
        lineups: Its open models.
        calls: Where finished calls are kept.
    """

    def __init__(
        self, suite: Suite, lineups: Mapping[str, Mapping[str, Stack]], calls: Calls
    ) -> None:
        self._suite, self._lineups, self._calls = suite, lineups, calls
        self._entries = {entry.key: entry for entry in suite.entries()}
        self._turns = Turns()  # each problem has a solver of its own; a tool's limit is for all

    async def solve(self, job: Job, on_row: Callable[[Row], None]) -> None:
        """Solve a job and hand over its rows. Spends what the strategies spend.

        Raises:
            AuthenticationError: If a key is missing or wrong.
        """
        suite = self._suite
        for key in job.cells:
            entry = self._entries[key]
            models = self._lineups[entry.cell.model]
            keep, share = suite.keep, suite.share
            tried = job.tried.get(key)
            old = job.unjudged.get(key)
            row = None if old is None else await judge_again(entry, job.example, old)
            if row is None:
                row = await solve_example(
                    entry,
                    job.example,
                    models,
                    self._calls,
                    turns=self._turns,
                    keep=keep,
                    share=share,
                    tried=tried,
                )
            on_row(row)

    @property
    def paid(self) -> Spent:
        """What all calls have cost that were ever kept in this file."""
        return self._calls.bill.total()

    @property
    def troubles(self) -> list[str]:
        """What went wrong without costing a row."""
        return self._calls.troubles


@asynccontextmanager
async def open_worker(suite: Suite, calls: Calls) -> AsyncIterator[Worker]:
    """Open a suite's models.

    Raises:
        ConfigError: If a model cannot be opened, or lacks what a strategy needs of it: before the
            first call is paid for, but for a look at an unknown server.
    """
    async with AsyncExitStack() as opened:
        lineups: dict[str, Mapping[str, Stack]] = {}
        try:
            for name, lineup in suite.models.items():
                at = partial(_mistake, suite, name)
                opening = open_stacks(lineup.models, lineup.concurrency, at)
                lineups[name] = await opened.enter_async_context(opening)
        finally:  # whatever comes now, this was paid
            _book_looks(suite, lineups, calls.bill)
        _check(suite, suite.entries(), lineups)
        _check_prices(suite, lineups)
        yield Worker(suite, lineups, calls)


def _book_looks(suite: Suite, lineups: Mapping[str, Mapping[str, Stack]], bill: Bill) -> None:
    """Write down what finding out about unknown servers has cost: no problem pays for it."""
    for lineup, settings in suite.models.items():
        for name, model in settings.models.items():
            meter, stack = model.take_bill(), lineups.get(lineup, {}).get(name)
            if meter is not None:
                price = model.expected().price if stack is None else stack.top.price
                bill.book(meter, price, meter.attempts)


def _mistake(suite: Suite, lineup: str, message: str, model: str) -> ConfigError:
    """Point at a model in the suite's file, or at its line-up where that is all there is."""
    return suite.mistake(message, "models", lineup, "models", model)


def _check(
    suite: Suite, entries: Iterable[Entry], lineups: Mapping[str, Mapping[str, Stack]]
) -> None:
    for entry in entries:
        try:
            tops = {name: stack.top for name, stack in lineups[entry.cell.model].items()}
            check_pipeline(entry.pipeline, tops)
        except ConfigError as error:
            raise suite.mistake(error.message, *entry.place) from error


def _check_prices(suite: Suite, lineups: Mapping[str, Mapping[str, Stack]]) -> None:
    """Refuse a model of unknown price that plays a role, if dollars are compared."""
    asked = {
        (entry.cell.model, entry.pipeline.roles.get(role, next(iter(entry.pipeline.models))))
        for entry in (suite.entries() if "usd" in suite.equal else ())
        for role in entry.pipeline.strategy.roles()
    }
    for name, stacks in lineups.items():
        for model, stack in stacks.items():
            if (name, model) in asked and stack.top.price is None:
                raise _mistake(
                    suite,
                    name,
                    f"equal dollars need the price of {stack.top.name}: set price: "
                    "{input: ..., output: ...}, dollars per million tokens",
                    model,
                )


class Local:
    """Solves jobs in this process, as many at once as the suite's `concurrency` says."""

    async def run(
        self, suite: Suite, jobs: Sequence[Job], calls: Calls, on_row: Callable[[Row], None]
    ) -> list[str]:
        """Solve all jobs; see `Executor`."""
        slots = anyio.Semaphore(suite.concurrency)
        async with open_worker(suite, calls) as worker:
            with first_error():
                async with anyio.create_task_group() as tasks:
                    for job in jobs:
                        await slots.acquire()
                        tasks.start_soon(partial(_solve, worker, job, on_row, slots))
            return worker.troubles


async def _solve(
    worker: Worker, job: Job, on_row: Callable[[Row], None], slots: anyio.Semaphore
) -> None:
    try:
        await worker.solve(job, on_row)
    finally:
        slots.release()
