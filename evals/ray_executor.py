"""Problems of a bench on Ray workers: each runs the normal runtime, rows come back to one store."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio

from tts.errors import ConfigError, TTSError
from tts.evals.bill import Bill
from tts.evals.executor import Job
from tts.evals.keeping import Calls
from tts.evals.ray_cluster import ray_cluster
from tts.evals.ray_worker import Leaves, RayWorker, WorkerFailed
from tts.evals.records import Row
from tts.evals.sharing import most_workers, share_of
from tts.evals.suite import Suite
from tts.tasks import first_error, task_scope

__all__ = ["RayExecutor"]

_TRIES: Final = 2
"""Times that a problem is begun, when its worker is killed."""
_LOST: Final = f"its worker was killed, {_TRIES} times; what these tries have paid is not known"
_LIVES: Final = 4
"""Processes that one worker may use up."""
_FAREWELL: Final = 10
"""Seconds that a worker has to close what it opened."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a worker waits for before it works, and what is said if that takes long."""

    quiet: int
    """Seconds until it is said."""
    most: int
    """Seconds until it is given up."""
    said: str
    error: str


_START: Final = _Wait(
    30,
    900,
    "a Ray worker has not started in 30 s: either no processor of the cluster is free, or its "
    "machine is busy",
    "no Ray worker has started in 900 s: free a processor of the cluster, or give fewer "
    "--workers; what is done is kept, go on with --resume",
)
_MODELS: Final = _Wait(
    120,
    3600,
    "a Ray worker has started, and has been opening its models for 120 s",
    "no Ray worker could open its models in 3600 s: see whether they open on one machine, "
    "without --executor ray; what is done is kept, go on with --resume",
)


class RayExecutor:
    """Solves jobs on the workers of a Ray cluster, and on this machine where there is none.

    A job whose worker dies is begun once more, alone on a worker; its rows count once, since only
    finished jobs hand rows over. Killed twice, it is a row with status `failed`.

    Args:
        workers: How many; None takes one for each processor of the cluster. There are never more
            than jobs, or than can have a part of every limit.
        leaves: Context managers that each worker stays in, such as the leave to run code; they must
            be picklable factories.
    """

    def __init__(
        self, workers: int | None = None, leaves: Sequence[Callable[[], Any]] = ()
    ) -> None:
        self.workers = workers
        self.leaves: Leaves = tuple(leaves)

    async def run(
        self, suite: Suite, jobs: Sequence[Job], calls: Calls, on_row: Callable[[Row], None]
    ) -> list[str]:
        """Solve all jobs; see `Executor`.

        The cluster is that of `RAY_ADDRESS`, or one of this machine that is ended afterwards.

        Raises:
            AuthenticationError: If a key is missing or wrong.
            ConfigError: If Ray is not installed, its cluster cannot be reached, no worker
                starts, a model cannot be opened, or lacks what a strategy needs.
            WorkerFailed: If something unforeseen happened in a worker; a note holds the traceback.
        """
        if not jobs:
            return []
        async with ray_cluster() as ray:
            there = int(ray.cluster_resources().get("CPU", 1))
            wanted = there if self.workers is None else self.workers
            workers = max(1, min(wanted, len(jobs), most_workers(suite)))
            fleet = _Fleet(ray, jobs, on_row, calls.bill)
            with first_error():
                async with anyio.create_task_group() as tasks:
                    for worker in range(workers):
                        share = share_of(suite, worker, workers)
                        tasks.start_soon(fleet.tend, worker, share, calls.path, self.leaves)
            return fleet.troubles()


class _WorkerDied(Exception):
    """A worker's process has ended while it had something to do."""


class _Alive:
    """A worker as the driver sees it, until its process ends."""

    def __init__(self, actor: Any, ray: Any, number: int) -> None:
        self.actor = actor
        self.number, self.where = number, f"Ray worker {number}"
        self.is_placed = self.has_died = False
        gone = ray.exceptions
        self._deaths = (gone.RayActorError, gone.WorkerCrashedError, gone.OutOfMemoryError)
        self._errors: type[Exception] = gone.RayError

    async def place(self) -> str:
        """Wait until it has a processor; return the id of its node."""
        node, self.where = await self.ask("place", self.number)
        self.is_placed = True
        return str(node)

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Return what the worker's method returns; raise the error that it returns.

        Raises:
            ConfigError: If the library is not on its node.
            WorkerFailed: If Ray could not call the method.
            _WorkerDied: If its process has ended.
        """
        try:
            result = await getattr(self.actor, method).remote(*arguments, **options)
        except self._deaths as error:
            self.has_died = True
            if getattr(error, "actor_init_failed", False):  # the next one would fare no better
                raise ConfigError(
                    f"{self.where} cannot start: see that this version of the library, and all "
                    "that it needs, is on every node; --debug shows what Ray says"
                ) from error
            raise _WorkerDied from error
        except self._errors as error:
            cause = getattr(error, "cause", None) or error
            raise WorkerFailed.by(cause, self.where) from error
        if isinstance(result, Exception):
            raise result
        return result


class _Fleet:
    """Hands jobs to workers and takes their rows; lives in the harness's event loop."""

    def __init__(
        self, ray: Any, jobs: Sequence[Job], on_row: Callable[[Row], None], bill: Bill
    ) -> None:
        self._ray, self._on_row, self._bill = ray, on_row, bill
        self._waiting, self._left = deque(jobs), len(jobs)
        self._suspects = deque[Job]()  # one of them has killed a worker
        self._over: set[_Wait] = set()  # for some worker at least
        self._unready: set[anyio.CancelScope] = set()
        self._tries: Counter[tuple[str, ...]] = Counter()
        self._deaths = 0
        self._troubles: set[str] = set()

    async def tend(self, number: int, share: Suite, calls: Path, leaves: Leaves) -> None:
        """Keep one worker busy; where it dies, put another in its place, a few times."""
        for _ in range(_LIVES):
            if not (self._waiting or self._suspects):
                return
            make = self._ray.remote(num_cpus=1, max_concurrency=share.concurrency + 1)(RayWorker)
            worker = _Alive(make.remote(), self._ray, number)
            try:
                if not await self._open(worker, share, calls, leaves):
                    return
                await self._work(worker, self._suspects)
                with first_error():
                    async with anyio.create_task_group() as tasks:
                        for _ in range(share.concurrency):
                            tasks.start_soon(self._work, worker, self._waiting)
                await self._work(worker, self._suspects)
                return
            except _WorkerDied:
                self._deaths += 1
            finally:
                await self._end(worker)

    async def _open(self, worker: _Alive, share: Suite, calls: Path, leaves: Leaves) -> bool:
        """Let a worker open its models; False if nothing is left to do, or that took too long."""
        here, nodes = self._ray.get_runtime_context().get_node_id(), list[str]()

        async def place() -> None:
            nodes.append(await worker.place())

        if not await self._wait(_START, place):
            return False
        is_far = nodes[0] != here  # the driver's file is not there
        return await self._wait(
            _MODELS, partial(worker.ask, "open", share, calls, leaves, is_far=is_far)
        )

    async def _wait(self, wait: _Wait, ready: Callable[[], Awaitable[object]]) -> bool:
        """Wait until a worker is ready; False if nothing is left to do, or that took too long.

        Raises:
            ConfigError: If it took too long, and no other worker is so far.
        """
        with anyio.CancelScope() as scope:
            self._unready.add(scope)
            try:
                async with task_scope() as tasks:
                    tasks.start_soon(_lose_patience, wait, scope)
                    await ready()
                self._over.add(wait)
            finally:
                self._unready.discard(scope)
        if scope.cancelled_caught and wait not in self._over:
            raise ConfigError(wait.error)
        return not scope.cancelled_caught

    async def _end(self, worker: _Alive) -> None:
        """Let a worker close what it has opened, and end its process."""
        told: list[str] = []
        if worker.is_placed and not worker.has_died:
            with anyio.move_on_after(_FAREWELL, shield=True) as scope:
                try:
                    told, paid = await worker.ask("close")
                    self._bill.add(paid)
                except _WorkerDied:
                    told = [f"{worker.where} died while it closed its models"]
                except TTSError as error:
                    told = [str(error)]
            if scope.cancelled_caught:
                told = [f"{worker.where} could not close its models in {_FAREWELL} s: it is killed"]
        self._troubles |= set(told)
        self._ray.kill(worker.actor)

    async def _work(self, worker: _Alive, jobs: deque[Job]) -> None:
        """Let a worker solve one job after the other."""
        while jobs:
            job = jobs.popleft()
            done = False
            try:
                rows, paid = await worker.ask("solve", job)
                done = True
            finally:
                if not done:
                    self._give_back(job, was_killed=worker.has_died)
            self._bill.add(paid)
            self._finish(rows)

    def _finish(self, rows: Iterable[Row]) -> None:
        """Hand a job's rows over; with the last one, nobody needs to get ready any more."""
        for row in rows:
            self._on_row(row)
        self._left -= 1
        if not self._left:
            for scope in self._unready:
                scope.cancel()

    def _give_back(self, job: Job, *, was_killed: bool) -> None:
        """Take an unfinished job back: for another worker, or as failed.

        One that was under way when a worker was killed is begun again with no other beside it: it
        may be what kills.
        """
        place = (job.example.id, *job.cells)
        self._tries[place] += was_killed
        if was_killed:
            job = job.and_killed()
        if self._tries[place] < _TRIES:
            (self._suspects if was_killed else self._waiting).append(job)
            return
        self._finish(job.lost(key, _LOST) for key in job.cells)

    def troubles(self) -> list[str]:
        """Return what went wrong without costing a row."""
        told = sorted(self._troubles)
        if self._deaths:
            often = "once" if self._deaths == 1 else f"{self._deaths} times"
            told.append(
                f"a Ray worker died, {often}: its problems were begun again; what they had paid "
                "for calls that were not finished and kept is not known, and in no cost"
            )
        left = len(self._waiting) + len(self._suspects)
        if left:
            told.append(f"{left} problems are left: workers died too often, or got no processor")
        return told


async def _lose_patience(wait: _Wait, scope: anyio.CancelScope) -> None:
    await anyio.sleep(wait.quiet)
    _LOG.warning(wait.said)
    await anyio.sleep(wait.most - wait.quiet)
    scope.cancel()
