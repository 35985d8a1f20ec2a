"""How many calls may be in flight: a fixed number, or what the provider turns out to bear."""

from __future__ import annotations

from typing import Final

__all__ = ["AdaptiveWindow", "Window"]


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
