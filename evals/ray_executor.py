"""Problems of a bench on Ray workers: each runs the normal runtime, rows come back to one store."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio
from anyio.from_thread import start_blocking_portal

from tts.errors import AuthenticationError, ConfigError
from tts.evals.executor import Job, open_worker
from tts.evals.records import Row
from tts.evals.sharing import most_workers, share_of
from tts.evals.suite import Suite
from tts.evals.tries import Spent, Tried
from tts.tasks import first_error, task_scope

__all__ = ["RayExecutor"]

_MISSING: Final = "Ray is not installed: pip install 'tts-orchestrator[ray]'"
_TRIES: Final = 2
"""Times that a problem is begun, when its worker is killed."""
_LIVES: Final = 4
"""Processes that one worker may use up."""
_QUIET: Final = 30
"""Seconds that a worker may wait for its start until that is said."""
_PATIENCE: Final = 900
"""Seconds that it may wait at all."""
_LOG: Final = logging.getLogger(__name__)


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
        self.workers, self.leaves = workers, tuple(leaves)

    async def run(
        self, suite: Suite, jobs: Sequence[Job], calls: Path, on_row: Callable[[Row], None]
    ) -> list[str]:
        """Solve all jobs; see `Executor`.

        The cluster is that of `RAY_ADDRESS`, or one of this machine that is ended afterwards.

        Raises:
            AuthenticationError: If a key is missing or wrong.
            ConfigError: If Ray is not installed, a model cannot be opened, or lacks what a
                strategy needs.
        """
        try:
            import ray
        except ImportError as error:
            raise ConfigError(_MISSING) from error
        if not jobs:
            return []
        was_up = ray.is_initialized()
        if not was_up:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        try:
            there = int(ray.cluster_resources().get("CPU", 1))
            wanted = there if self.workers is None else self.workers
            workers = max(1, min(wanted, len(jobs), most_workers(suite)))
            fleet = _Fleet(ray, jobs, on_row)
            with first_error():
                async with anyio.create_task_group() as tasks:
                    for worker in range(workers):
                        share = share_of(suite, worker, workers)
                        tasks.start_soon(fleet.tend, share, calls, self.leaves)
            return fleet.troubles()
        finally:
            if not was_up:
                ray.shutdown()


class _WorkerDied(Exception):
    """A worker's process has ended while it had something to do."""


class _Alive:
    """A worker as the driver sees it, until its process ends."""

    def __init__(self, actor: Any, ray: Any) -> None:
        self.actor = actor
        self.has_died = False
        gone = ray.exceptions
        self._deaths = (gone.RayActorError, gone.WorkerCrashedError, gone.OutOfMemoryError)

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Return what the worker's method returns; raise the error that it returns.

        Raises:
            _WorkerDied: If its process has ended.
        """
        try:
            result = await getattr(self.actor, method).remote(*arguments)
        except self._deaths as error:
            self.has_died = True
            raise _WorkerDied from error
        if isinstance(result, Exception):
            raise result
        return result


class _Fleet:
    """Hands jobs to workers and takes their rows; lives in the harness's event loop."""

    def __init__(self, ray: Any, jobs: Sequence[Job], on_row: Callable[[Row], None]) -> None:
        self._ray, self._on_row = ray, on_row
        self._waiting, self._left = deque(jobs), len(jobs)
        self._suspects = deque[Job]()  # one of them has killed a worker
        self._is_open = False
        self._openings: set[anyio.CancelScope] = set()
        self._tries: Counter[tuple[str, ...]] = Counter()
        self._deaths = 0
        self._troubles: set[str] = set()

    async def tend(self, share: Suite, calls: Path, leaves: tuple[Callable[[], Any], ...]) -> None:
        """Keep one worker busy; where it dies, put another in its place, a few times."""
        for _ in range(_LIVES):
            if not (self._waiting or self._suspects):
                return
            make = self._ray.remote(num_cpus=1, max_concurrency=share.concurrency + 1)(_Remote)
            worker = _Alive(make.remote(), self._ray)
            try:
                if not await self._open(worker, share, calls, leaves):
                    return
                await self._work(worker, self._suspects)
                with first_error():
                    async with anyio.create_task_group() as tasks:
                        for _ in range(share.concurrency):
                            tasks.start_soon(self._work, worker, self._waiting)
                await self._work(worker, self._suspects)
                self._troubles |= set(await worker.ask("close"))
                return
            except _WorkerDied:
                self._deaths += 1
            finally:
                self._ray.kill(worker.actor)

    async def _open(
        self, worker: _Alive, share: Suite, calls: Path, leaves: tuple[Callable[[], Any], ...]
    ) -> bool:
        """Let a worker open its models; False if the others were done before it was ready.

        Raises:
            ConfigError: If no worker gets a processor of the cluster.
        """
        node = self._ray.get_runtime_context().get_node_id()
        with anyio.CancelScope() as scope:
            self._openings.add(scope)
            async with task_scope() as tasks:
                tasks.start_soon(self._lose_patience, scope)
                await worker.ask("open", share, calls, node, leaves)
            self._is_open = True
        self._openings.discard(scope)
        if scope.cancelled_caught and not self._is_open:
            raise ConfigError(
                f"Ray gave no worker a processor within {_PATIENCE} s: free some of the cluster, "
                "or give fewer --workers; what is done is kept, go on with --resume"
            )
        return not scope.cancelled_caught

    async def _lose_patience(self, scope: anyio.CancelScope) -> None:
        await anyio.sleep(_QUIET)
        _LOG.warning("a Ray worker has waited %d s: is a processor of the cluster free?", _QUIET)
        await anyio.sleep(_PATIENCE - _QUIET)
        scope.cancel()

    async def _work(self, worker: _Alive, jobs: deque[Job]) -> None:
        """Let a worker solve one job after the other."""
        while jobs:
            job = jobs.popleft()
            done = False
            try:
                rows = await worker.ask("solve", job)
                done = True
            finally:
                if not done:
                    self._give_back(job, was_killed=worker.has_died)
            self._finish(rows)

    def _finish(self, rows: Iterable[Row]) -> None:
        """Hand a job's rows over; with the last one, nobody needs to get ready any more."""
        for row in rows:
            self._on_row(row)
        self._left -= 1
        if not self._left:
            for scope in self._openings:
                scope.cancel()

    def _give_back(self, job: Job, *, was_killed: bool) -> None:
        """Take an unfinished job back: for another worker, or as failed.

        One that was under way when a worker was killed is begun again with no other beside it: it
        may be what kills.
        """
        place = (job.example.id, *job.cells)
        self._tries[place] += was_killed
        if self._tries[place] < _TRIES:
            (self._suspects if was_killed else self._waiting).append(job)
            return
        self._finish(_lost(job, key) for key in job.cells)

    def troubles(self) -> list[str]:
        """Return what went wrong without costing a row."""
        told = sorted(self._troubles)
        if self._deaths:
            told.append(f"{self._deaths} times a Ray worker died; its problems were begun anew")
        left = len(self._waiting) + len(self._suspects)
        if left:
            told.append(f"{left} problems are left: workers died too often")
        return told


def _lost(job: Job, key: str) -> Row:
    tried = job.tried.get(key, Tried())
    return Row(
        cell=key,
        example=job.example.id,
        digest=job.example.digest,
        problem=str(job.example.problem),
        right_answer=job.example.answer,
        extra=job.example.extra,
        status="failed",
        error=f"its worker was killed, {_TRIES} times; what that has spent is not known",
        earlier=tried.settled(()),
        tried=tried.and_one(Spent(), {}),
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


class _Remote:
    """A worker's process: models are open in an event loop of its own thread."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._leaves: tuple[Callable[[], Any], ...] = ()
        self._worker: Any = None

    @contextmanager
    def _leave(self) -> Iterator[None]:
        """Stay in the leaves: each call has a thread, and each thread its context, of its own."""
        with ExitStack() as stack:
            for leave in self._leaves:
                stack.enter_context(leave())
            yield

    def open(
        self, share: Suite, calls: Path, node: str, leaves: tuple[Callable[[], Any], ...]
    ) -> Exception | None:
        """Open the models; return the mistake if they cannot be opened."""
        import ray

        self._leaves = leaves
        if ray.get_runtime_context().get_node_id() != node:  # the driver's file is not here
            folder = self._opened.enter_context(TemporaryDirectory(prefix="tts-"))
            calls = Path(folder) / calls.name
        try:
            with self._leave():
                self._portal = self._opened.enter_context(start_blocking_portal())
                worker = self._portal.wrap_async_context_manager(open_worker(share, calls))
                self._worker = self._opened.enter_context(worker)
        except ConfigError as error:
            self._opened.close()
            return error
        return None

    def solve(self, job: Job) -> list[Row] | Exception:
        """Solve a job; return its rows, or the error that every other job would meet too."""
        rows: list[Row] = []
        try:
            with self._leave():
                self._portal.call(self._worker.solve, job, rows.append)
        except (AuthenticationError, ConfigError) as error:
            return error
        return rows

    def close(self) -> list[str]:
        """Close the models; return what went wrong without costing a row."""
        told: list[str] = self._worker.troubles
        self._opened.close()
        return told
