"""Which ready node goes first: the one that begins the longest chain still to be run.

The bottom level of a node is its expected duration and the largest bottom level of the nodes that
wait for it (Graham 1969 for the bound of every list schedule; Topcuoglu et al. 2002, HEFT, for
this order, here without communication).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from tts.graph.nodes import Entry

__all__ = ["Durations", "Ranking"]

_UNKNOWN = 1.0
"""Seconds that a node takes of which nothing is known; only the ratio to others matters."""


class Durations:
    """What nodes of a name usually take: an exponentially weighted mean.

    Args:
        weight: What the newest observation weighs, in (0, 1].

    >>> durations = Durations(weight=0.5)
    >>> durations.observe("search", 2.0)
    >>> durations.observe("search", 4.0)
    >>> durations.expected("search")
    3.0
    """

    def __init__(self, weight: float = 0.3) -> None:
        self._weight = weight
        self._means: dict[str, float] = {}

    def expected(self, name: str) -> float:
        """Return the seconds to expect; 1 for a name that was never seen."""
        return self._means.get(name, _UNKNOWN)

    def observe(self, name: str, seconds: float) -> None:
        """Take in how long a node of that name took."""
        mean = self._means.setdefault(name, seconds)
        self._means[name] = mean + self._weight * (seconds - mean)


class Ranking:
    """Keeps bottom levels up to date while nodes are added.

    Work is put off until somebody must choose between ready nodes, and then done once for all
    that were added since.
    """

    def __init__(self) -> None:
        self._new: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Take in a node whose parents are known."""
        self._new.append(entry)

    def update(self, parents: dict[int, list[Entry]]) -> list[Entry]:
        """Raise the levels of all that new nodes wait for; return the ready nodes among them.

        Args:
            parents: The unsettled nodes that each node waits for, by its id.
        """
        if not self._new:
            return []
        queued = {entry.order: entry for entry in self._new}
        waiting = [-order for order in queued]
        heapify(waiting)
        self._new = []
        raised: list[Entry] = []
        while waiting:  # the last added first: a node stands after all that it waits for
            entry = queued.pop(-heappop(waiting))
            for parent in parents.get(entry.node.id, ()):
                level = parent.duration + entry.rank
                if level > parent.rank and parent.started is None and not parent.is_settled:
                    parent.rank = level
                    if parent.order not in queued:
                        queued[parent.order] = parent
                        heappush(waiting, -parent.order)
                        raised += [parent] if parent.state == "ready" else []
        return raised
