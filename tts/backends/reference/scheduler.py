"""Driving an engine from an event loop, without any task of its own.

Each call submits a row. If nobody drives the engine, the call does: it runs bursts of steps in a
worker thread until its own row is done, and then wakes another waiting call to go on. So there is
nothing to start or to close, and a cancelled call cancels its own row only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import anyio
from anyio import to_thread

from tts.backends.reference.engine import Row
from tts.errors import BackendError

__all__ = ["Decodes", "Scheduler"]

_BURST: Final = 0.01
"""Seconds after which a burst of steps looks at the event loop again."""


class Decodes(Protocol):
    """What a scheduler needs of an engine."""

    @property
    def busy(self) -> bool:
        """Whether rows wait or run."""
        ...

    def submit(self, row: Row) -> None:
        """Queue a row; called on the event loop."""
        ...

    def step(self) -> bool:
        """Advance all rows by a token and return whether one finished; called in a thread."""
        ...


class _Call:
    """A call that waits for its row.

    Attributes:
        row: The row.
        report: Called when the row may have advanced.
        wake: Set when the row is done, or when the call is to drive the engine.
        failure: Why the engine failed, if it did.
    """

    def __init__(self, row: Row, report: Callable[[], None]) -> None:
        self.row, self.report = row, report
        self.wake = anyio.Event()
        self.failure: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.row.finish is not None or self.failure is not None


class Scheduler:
    """Runs rows of one event loop on an engine.

    Args:
        make: Makes the engine; called again after the engine failed.
    """

    def __init__(self, make: Callable[[], Decodes]) -> None:
        self._make = make
        self._engine = make()
        self._calls: dict[_Call, None] = {}
        self._driven = False
        # Its own, so that it neither waits for the user's threads nor holds them up.
        self._limiter = anyio.CapacityLimiter(1)

    async def run(self, row: Row, report: Callable[[], None]) -> None:
        """Return when the row is finished; if cancelled, the row leaves at the next step.

        Args:
            row: What to decode.
            report: Called on the event loop whenever the row may have advanced.

        Raises:
            BackendError: If the engine failed; every call that waits gets it.
        """
        call = _Call(row, report)
        self._calls[call] = None
        self._engine.submit(row)
        try:
            while not call.done:
                if self._driven:
                    await call.wake.wait()
                    call.wake = anyio.Event()
                else:
                    await self._drive(call)
        finally:
            row.cancelled = row.finish is None
            report()
            del self._calls[call]
            self._hand_over()
        if call.failure is not None:
            raise BackendError(f"the engine failed: {call.failure!r}") from call.failure

    async def _drive(self, call: _Call) -> None:
        """Run the engine until the call is done."""
        self._driven = True
        try:
            while not call.done:
                # Not abandoned when cancelled: a step is short, and nobody else may use the
                # engine before it ends.
                await to_thread.run_sync(self._burst, limiter=self._limiter)
                self._report()
        except Exception as error:  # whatever it is, no call may wait for ever
            self._fail(error)
        finally:
            self._driven = False
            self._report()

    def _burst(self) -> None:
        """Step until a row finishes or the time is up."""
        end = time.monotonic() + _BURST
        while self._engine.busy and not self._engine.step() and time.monotonic() < end:
            pass

    def _report(self) -> None:
        for call in self._calls:
            call.report()
            if call.done:
                call.wake.set()

    def _hand_over(self) -> None:
        """If nobody drives, wake one call that still waits."""
        waiting = next((call for call in self._calls if not call.done), None)
        if not self._driven and waiting is not None:
            waiting.wake.set()

    def _fail(self, error: Exception) -> None:
        """Give the error to all calls and start afresh."""
        for call in self._calls:
            if not call.done:
                call.failure = error
        self._engine = self._make()
