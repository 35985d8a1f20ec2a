"""Ready nodes in order of priority, behind limits that may overlap."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from tts.graph.nodes import Entry

__all__ = ["Lanes"]

_Queued = tuple[float, int, Entry]


class Lanes:
    """The ready nodes of a graph.

    Nodes under the same limits share a heap, so that finding the next one asks each set of limits
    once, and a full lane hides no node of another.

    Args:
        limits: Most nodes that run in a lane at once; a lane that is not named has no limit.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._used: dict[str, int] = {}
        self._heaps: dict[tuple[str, ...], list[_Queued]] = {}

    def push(self, entry: Entry) -> None:
        """Queue a ready node under its present rank."""
        heap = self._heaps.setdefault(entry.node.lanes, [])
        heappush(heap, (-entry.rank, entry.node.id, entry))

    def pop(self) -> Entry | None:
        """Take the first node that its lanes let run, and its place in them; None if none may."""
        best: list[_Queued] | None = None
        for lanes, heap in self._heaps.items():
            if self._room(lanes) <= 0:
                continue
            while heap and heap[0][2].state != "ready":  # queued twice, since its rank rose
                heappop(heap)
            if heap and (best is None or heap[0] < best[0]):
                best = heap
        if best is None:
            return None
        entry = heappop(best)[2]
        for lane in entry.node.lanes:
            self._used[lane] = self._used.get(lane, 0) + 1
        return entry

    def leave(self, entry: Entry) -> None:
        """Give back a node's place in its lanes."""
        for lane in entry.node.lanes:
            self._used[lane] -= 1

    @property
    def available(self) -> int:
        """Nodes that could be taken now, or a few more."""
        return sum(min(len(heap), self._room(lanes)) for lanes, heap in self._heaps.items() if heap)

    def _room(self, lanes: tuple[str, ...]) -> int:
        room = 1 << 30
        for lane in lanes:
            limit = self._limits.get(lane)
            if limit is not None:
                room = min(room, limit - self._used.get(lane, 0))
        return room
