"""What the shape of a graph of tasks says: how wide it is, how deep, how tightly coupled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from tts.errors import ConfigError
from tts.frozen import Frozen

__all__ = ["Features", "ancestors", "antichain", "features"]

_MOST_EXACT = 64

Needs = Sequence[Sequence[int]]


class Features(Frozen):
    """The shape of a graph of tasks."""

    tasks: Annotated[int, Field(ge=0)]
    edges: Annotated[int, Field(ge=0)]
    omega: Annotated[int, Field(ge=0)]
    """Width: the most tasks of which none needs another, however indirectly."""
    depth: Annotated[float, Field(ge=0.0)]
    """The heaviest chain; the longest one where each task weighs 1."""
    gamma: Annotated[float, Field(ge=0.0, le=1.0)]
    """Coupling: the mean over edges; 0 without edges."""


def features(
    needs: Needs,
    couplings: Mapping[tuple[int, int], float] | None = None,
    *,
    weights: Sequence[float] | None = None,
    coupling: float = 0.5,
    most_exact: int = _MOST_EXACT,
) -> Features:
    """Return the shape of a graph. O(V + E), but for the exact width of small ones.

    Args:
        needs: For each task the places, from 0, of those it needs.
        couplings: How tightly, in [0, 1], by (task, needed task).
        weights: What each task is expected to cost; None is 1 each.
        coupling: For edges that `couplings` leaves out.
        most_exact: Tasks up to which the width is exact, by matching. Above it is that of the
            widest layer, which is never more.

    Raises:
        ConfigError: If tasks need one another in a circle, or one that is not there.

    Source: AdaptOrch, arXiv:2602.16873, which takes the widest layer throughout and leaves gamma
    open without edges.

    >>> features([[], [], [0, 1]], {(2, 0): 0.7, (2, 1): 0.3})
    Features(tasks=3, edges=2, omega=2, depth=2.0, gamma=0.5)
    """
    edges = [(task, need) for task, wanted in enumerate(needs) for need in dict.fromkeys(wanted)]
    order = _ordered(needs, edges)
    layer, chain = [0] * len(needs), [0.0] * len(needs)
    for task in order:
        own = 1.0 if weights is None else weights[task]
        layer[task] = max((layer[need] + 1 for need in needs[task]), default=0)
        chain[task] = own + max((chain[need] for need in needs[task]), default=0.0)
    widths = [0] * len(needs)
    for at in layer:
        widths[at] += 1
    known = couplings or {}
    tight = sum(known.get(edge, coupling) for edge in edges)
    return Features(
        tasks=len(needs),
        edges=len(edges),
        omega=antichain(needs) if len(needs) <= most_exact else max(widths),
        depth=max(chain, default=0.0),
        gamma=min(1.0, tight / len(edges)) if edges else 0.0,
    )


def antichain(needs: Needs) -> int:
    """Return the width of a graph: the size of its largest antichain. O(V E') on its closure.

    Dilworth: as many as the fewest chains that cover it, which is V less a maximum matching of
    the transitive closure. Meant for graphs of up to some hundred tasks: paths are recursive.

    Raises:
        ConfigError: If tasks need one another in a circle, or one that is not there.

    Source: Dilworth 1950; Fulkerson 1956 for the reduction to matching; Kuhn's augmenting paths.

    >>> antichain([[], [0], [0], [1, 2]])
    2
    """
    before = ancestors(needs)
    matched: dict[int, int] = {}

    def augment(task: int, seen: set[int]) -> bool:
        for need in before[task] - seen:
            seen.add(need)
            if need not in matched or augment(matched[need], seen):
                matched[need] = task
                return True
        return False

    return len(needs) - sum(augment(task, set()) for task in range(len(needs)))


def ancestors(needs: Needs) -> list[set[int]]:
    """Return for each task all that it needs, directly or not. O(V E).

    Raises:
        ConfigError: If tasks need one another in a circle, or one that is not there.
    """
    edges = [(task, need) for task, wanted in enumerate(needs) for need in dict.fromkeys(wanted)]
    before: list[set[int]] = [set() for _ in needs]
    for task in _ordered(needs, edges):
        for need in needs[task]:
            before[task] |= {need, *before[need]}
    return before


def _ordered(needs: Needs, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the tasks so that each stands behind those that it needs (Kahn)."""
    waiting = [0] * len(needs)
    served: list[list[int]] = [[] for _ in needs]
    for task, need in edges:
        if not 0 <= need < len(needs):
            raise ConfigError(f"task {task} needs {need}: there are {len(needs)} tasks, from 0")
        waiting[task] += 1
        served[need].append(task)
    order = [task for task, count in enumerate(waiting) if count == 0]
    for task in order:  # grows while it is read
        for child in served[task]:
            waiting[child] -= 1
            if waiting[child] == 0:
                order.append(child)
    if len(order) < len(needs):
        raise ConfigError("tasks need one another in a circle: take an edge away")
    return order
