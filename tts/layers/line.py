"""Calls that wait for their turn: by priority, then by arrival, and nobody is passed for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Final

import anyio

__all__ = ["Line", "Waiter"]


class Waiter:
    """A call that waits.

    Attributes:
        tokens: What it will take of the token quota.
        permits: How many it will take of those.
        is_admitted: True once it may go.
        passed: Times that a later one went before it, counted while it was first of its priority.
        event: Set when it may go, or shall look again.
    """

    __slots__ = (
        "arrival", "event", "has_left", "is_admitted", "passed", "permits", "priority", "tokens",
    )  # fmt: skip

    def __init__(self, priority: int, tokens: int, permits: int = 1) -> None:
        self.priority, self.tokens, self.permits = priority, tokens, permits
        self.arrival = self.passed = 0
        self.is_admitted = self.has_left = False
        self.event = anyio.Event()


class Line:
    """A queue for each priority.

    Higher priorities go first, and behind one that waits for more tokens than there are, a few
    smaller ones may go before it. Each passing is counted; whoever was passed `PATIENCE` times is
    next. Within a priority everybody comes to the front, so no call waits for ever.
    """

    PATIENCE: Final = 16
    """Times that the first of a priority may be passed."""
    LOOK: Final = 16
    """How many that wait are looked at for one that fits."""

    def __init__(self) -> None:
        self._queues: dict[int, deque[Waiter]] = {}
        self._arrivals = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def join(self, waiter: Waiter) -> None:
        """Stand at the end of its priority's queue."""
        waiter.arrival = next(self._arrivals)
        if waiter.priority not in self._queues:
            self._queues[waiter.priority] = deque()
            self._queues = dict(sorted(self._queues.items(), reverse=True))
        self._queues[waiter.priority].append(waiter)
        self._size += 1

    def leave(self, waiter: Waiter) -> None:
        """Give up waiting; its place is cleared when its turn would come."""
        if not waiter.has_left:
            waiter.has_left = True
            self._size -= 1

    def first(self) -> Waiter | None:
        """Return whose turn it is."""
        firsts = self._firsts()
        overdue = [waiter for waiter in firsts if waiter.passed >= self.PATIENCE]
        if overdue:
            return min(overdue, key=lambda waiter: waiter.arrival)
        return firsts[0] if firsts else None

    def admit(self, fits: Callable[[Waiter], bool]) -> Waiter | None:
        """Take the next that fits out of the line; None if it must wait, and all behind it."""
        first = self.first()
        if first is None:
            return None
        if fits(first):
            chosen = first
        elif first.passed >= self.PATIENCE:
            return None
        else:
            others = (waiter for waiter in self._waiting() if waiter is not first)
            found = next((waiter for waiter in islice(others, self.LOOK) if fits(waiter)), None)
            if found is None:
                return None
            chosen = found
        for waiter in self._firsts():
            waiter.passed += waiter.arrival < chosen.arrival
        self.leave(chosen)
        chosen.is_admitted = True
        return chosen

    def _firsts(self) -> list[Waiter]:
        """The first of each priority, highest first; those that left are cleared away."""
        firsts, empty = [], []
        for priority, queue in self._queues.items():
            while queue and queue[0].has_left:
                queue.popleft()
            if queue:
                firsts.append(queue[0])
            else:
                empty.append(priority)
        for priority in empty:
            del self._queues[priority]
        return firsts

    def _waiting(self) -> Iterator[Waiter]:
        return (
            waiter for queue in self._queues.values() for waiter in queue if not waiter.has_left
        )
