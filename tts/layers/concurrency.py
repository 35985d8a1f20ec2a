"""How many calls may be in flight: a fixed number, or what the provider turns out to bear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tts.layers.line import Line, Waiter

__all__ = ["AdaptiveWindow", "Permits", "Window"]


class Window:
    """A fixed number of calls in flight."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = most
        """Calls that may be in flight now."""
        self.epoch = 0
        """Rises with each cut; a call notes it when it leaves."""

    def succeed(self, in_flight: int) -> None:
        """Learn that a call was answered while so many were in flight, itself included."""

    def congest(self, epoch: int) -> None:
        """Learn that the provider was too busy for a call that left at that epoch."""


class AdaptiveWindow(Window):
    """Additive increase, multiplicative decrease, after a doubling start.

    A busy provider cuts the window by a factor, once for all calls that were in flight together:
    their refusals are one piece of news. A window's worth of answers makes it one wider; until the
    first cut each answer does, so that it doubles in a round trip. A window that is not half used
    does not grow: nothing would be learnt by it.

    Source: Chiu and Jain 1989; slow start as in TCP (RFC 5681).
    """

    FIRST: Final = 8
    CUT: Final = 0.6

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._size = float(min(self.FIRST, most))
        self.limit = int(self._size)

    def succeed(self, in_flight: int) -> None:
        """Grow, if the window was in use."""
        if 2 * in_flight >= self.limit:
            step = 1.0 if self.epoch == 0 else 1.0 / self._size
            self._size = min(float(self.most), self._size + step)
            self.limit = int(self._size)

    def congest(self, epoch: int) -> None:
        """Shrink, unless the call left before the last cut."""
        if epoch == self.epoch:
            self._size = max(1.0, self._size * self.CUT)
            self.limit = int(self._size)
            self.epoch += 1


class Permits:
    """A fixed number of permits that several models share; who waits stands in one line.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self.most = self.free = most
        self._line = Line()

    @asynccontextmanager
    async def hold(self, permits: int, priority: int) -> AsyncIterator[None]:
        """Hold so many permits in the block, or all of them where more are wanted."""
        wanted = min(permits, self.most)
        if self._line or self.free < wanted:
            await self._turn(Waiter(priority, 0, wanted))
        else:
            self.free -= wanted
        try:
            yield
        finally:
            self._give_back(wanted)

    async def _turn(self, waiter: Waiter) -> None:
        self._line.join(waiter)
        self._admit()
        goes = False
        try:
            await waiter.event.wait()
            goes = True
        finally:
            if not goes:
                self._line.leave(waiter)
                self._give_back(waiter.permits if waiter.is_admitted else 0)

    def _give_back(self, permits: int) -> None:
        self.free += permits
        self._admit()

    def _admit(self) -> None:
        while self._line:
            waiter = self._line.admit(lambda waiter: waiter.permits <= self.free)
            if waiter is None:
                break
            self.free -= waiter.permits
            waiter.event.set()
