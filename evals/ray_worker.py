"""What runs in the process of a Ray worker: the normal runtime, in an event loop of its own.

Its methods return errors instead of raising them: Ray would send a raised one as another class,
with the traceback in its message.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from traceback import format_exception
from typing import Any, Final, TypeAlias

from anyio import CancelScope, Event
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tts.errors import ConfigError, TTSError
from tts.evals.executor import Job, Worker, open_worker
from tts.evals.keeping import open_calls
from tts.evals.own_folder import own_folder
from tts.evals.records import Row
from tts.evals.suite import Suite
from tts.evals.tries import Spent

__all__ = ["Leaves", "RayWorker", "WorkerFailed"]

Leaves: TypeAlias = tuple[Callable[[], AbstractContextManager[Any]], ...]
"""Makers of what a worker stays in, such as the leave to run code; they can be pickled."""
_LONGEST: Final = 300
"""Characters of an unforeseen error that its line holds."""


class WorkerFailed(TTSError):
    """Something unforeseen happened in a Ray worker; a note on it holds the traceback."""

    @classmethod
    def by(cls, error: BaseException, where: str) -> WorkerFailed:
        """Return the one line that tells of an unforeseen error, and of where it happened."""
        told = " ".join(repr(error).split())
        shown = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
        return cls(f"internal error in {where}: {shown}; --debug shows where")


class RayWorker:
    """A worker's process; its methods are called in threads, `solve` in several at once."""

    def __init__(self) -> None:
        self._folder, self._opened = ExitStack(), ExitStack()
        self._leaves: Leaves = ()
        self._portal: BlockingPortal | None = None
        self._worker: Worker | None = None
        self._solving = set[CancelScope]()
        self._closing: Event | None = None  # set once nothing is being solved
        self._is_far, self._told_paid, self._all_paid = False, Spent(), Spent()
        self._where = "a Ray worker"

    def place(self, number: int) -> tuple[str, str]:
        """Return the id of its node, and what messages call it; answers once it has a processor."""
        import ray

        self._where = f"Ray worker {number} (process {os.getpid()} on {socket.gethostname()})"
        return ray.get_runtime_context().get_node_id(), self._where

    def open(
        self, share: Suite, calls: Path, leaves: Leaves, *, is_far: bool = False
    ) -> Exception | None:
        """Open the models; return the error if they cannot be opened.

        Args:
            share: This worker's part of the suite.
            calls: The file of kept calls.
            leaves: What it stays in while it works.
            is_far: The file is on another machine: keep calls in a folder of its own here.
        """
        self._leaves, self._is_far = leaves, is_far
        try:
            if is_far:
                calls = self._folder.enter_context(own_folder()) / calls.name
            with self._leave():
                self._portal = self._opened.enter_context(start_blocking_portal())
                worker = self._portal.wrap_async_context_manager(self._working(share, calls))
                self._worker = self._opened.enter_context(worker)
        except Exception as error:
            self._opened.close()
            return self._told(error)
        return None

    def solve(self, job: Job) -> tuple[list[Row], Spent] | Exception:
        """Solve a job; return its rows, or the error that every other job would meet too.

        Beside them stands what was paid on this machine and is not told yet; where the file of the
        driver's is at hand, that is written there, and nothing is told.
        """
        rows: list[Row] = []
        try:
            assert self._portal is not None  # since it was opened
            assert self._worker is not None
            with self._leave():
                self._portal.call(self._solve, self._worker, job, rows)
            return rows, self._paid()
        except Exception as error:
            return self._told(error)

    def close(self) -> tuple[list[str], Spent] | Exception:
        """Cancel what is under way, close the models, and remove what was kept here.

        Returns:
            What went wrong without costing a row, and what was paid and is not told yet.
        """
        told, paid = list[str](), Spent()
        try:
            if self._worker is not None and self._portal is not None:
                self._portal.call(self._end_solving)
                told, paid = self._worker.troubles, self._paid()
                self._worker = None
            elif self._is_far:
                paid = self._all_paid.less(self._told_paid)
                self._told_paid = self._all_paid
            self._opened.close()
        except Exception as error:
            return self._told(error)
        finally:
            self._folder.close()
        return told, paid

    @asynccontextmanager
    async def _working(self, share: Suite, path: Path) -> AsyncIterator[Worker]:
        with open_calls(path) as calls:
            try:
                async with open_worker(share, calls) as worker:
                    yield worker
            finally:  # a look at a server is paid for, even if nothing else can be opened
                self._all_paid = calls.bill.total()

    async def _solve(self, worker: Worker, job: Job, rows: list[Row]) -> None:
        """Solve a job, unless or until the worker is closed; runs in the loop, as all below."""
        with CancelScope() as scope:
            if self._closing is None:
                self._solving.add(scope)
                try:
                    await worker.solve(job, rows.append)
                    return
                finally:
                    self._solving.discard(scope)
                    if self._closing is not None and not self._solving:
                        self._closing.set()
        raise WorkerFailed(f"{self._where} was closed")

    async def _end_solving(self) -> None:
        self._closing = Event()
        for scope in self._solving:
            scope.cancel()
        if self._solving:
            await self._closing.wait()

    def _paid(self) -> Spent:
        if not (self._is_far and self._worker is not None and self._portal is not None):
            return Spent()
        # In the loop's thread, so that each amount is told once.
        return self._portal.call(self._newly_paid, self._worker)

    def _newly_paid(self, worker: Worker) -> Spent:
        before, self._told_paid = self._told_paid, worker.paid
        return self._told_paid.less(before)

    @contextmanager
    def _leave(self) -> Iterator[None]:
        """Stay in the leaves: each call has a thread, and each thread its context, of its own."""
        with ExitStack() as stack:
            for leave in self._leaves:
                stack.enter_context(leave())
            yield

    def _told(self, error: Exception) -> Exception:
        """Return an error that can be sent: one of ours as it is, any other in one line."""
        trace = "".join(format_exception(error))
        if not isinstance(error, TTSError):
            sent: TTSError = WorkerFailed.by(error, self._where)
        elif _can_be_sent(error):
            sent = error
        else:  # a class of a plug-in's that no other process can make
            sent = (ConfigError if isinstance(error, ConfigError) else WorkerFailed)(str(error))
        sent.add_note(f"In {self._where}:\n{trace}")
        return sent


def _can_be_sent(error: TTSError) -> bool:
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return type(again) is type(error) and str(again) == str(error)
