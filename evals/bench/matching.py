"""Self-consistency at the cost of another strategy, from samples that were drawn once.

For each problem a pool of m samples is stored: answers and costs. Self-consistency with N samples
is the plain vote over N of them, drawn without replacement, ties to the first: its accuracy on a
problem is the mean over 64 random orders of the pool, and so is its critical cost, the
dearest of the N; its total cost is N times the pool's mean.

Matched to a cost is the N, between 1 and m, at which self-consistency costs as much on average over
the problems, the two whole numbers around it interpolated: the same N for every problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tts.evals.bench.reference_levels import Interval, bootstrap
from tts.resampling import vote_curve

__all__ = ["Curves", "Matched", "Pool", "compare", "curves", "matched"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pool:
    """The samples of one problem."""

    answers: tuple[str | None, ...]
    """Canonical; None abstains."""
    right: str
    """The right answer, canonical."""
    costs: tuple[int, ...]
    """Prompt and completion tokens of each."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Self-consistency on each problem with N = 1..m samples; shapes (problems, m)."""

    accuracy: Floats
    total: Floats
    critical: Floats


@dataclass(frozen=True, slots=True)
class Matched:
    """The samples with which self-consistency costs as much as something else."""

    samples: float
    low: int
    """The whole number below."""
    weight: float
    """Of the whole number above."""
    note: str
    """`capped`: even the whole pool costs less; `dearer`: even one sample costs more."""


def curves(pools: Sequence[Pool], seed: int = 0) -> Curves:
    """Return the curves of problems whose pools are equally large."""
    rng = np.random.default_rng(seed)
    accuracy, total, critical = list[Floats](), list[Floats](), list[Floats]()
    for pool in pools:
        shares, orders = vote_curve(pool.answers, pool.right, rng)
        costs = np.array(pool.costs, float)
        accuracy.append(shares)
        total.append(costs.mean() * np.arange(1, len(costs) + 1))
        critical.append(np.maximum.accumulate(costs[orders], axis=1).mean(0))
    return Curves(np.array(accuracy), np.array(total), np.array(critical))


def matched(costs: Floats, target: float) -> Matched:
    """Return the samples at which mean costs, increasing with N = 1..m, meet a target."""
    if target < costs[0]:
        return Matched(1.0, 1, 0.0, "dearer")
    if target >= costs[-1]:
        return Matched(float(len(costs)), len(costs), 0.0, "capped" if target > costs[-1] else "")
    low = int(np.searchsorted(costs, target, side="right"))
    weight = float((target - costs[low - 1]) / (costs[low] - costs[low - 1]))
    return Matched(low + weight, low, weight, "")


def compare(right: Floats, accuracy: Floats, match: Matched) -> tuple[Interval, Interval]:
    """Return self-consistency's accuracy at a match, and the gain over it, paired by problem.

    Args:
        right: A strategy's result on each problem, 0 or 1.
        accuracy: Self-consistency's curves; shape (problems, m).
        match: The samples.
    """
    above = min(match.low, accuracy.shape[1] - 1)
    baseline = (1 - match.weight) * accuracy[:, match.low - 1] + match.weight * accuracy[:, above]
    return bootstrap(baseline), bootstrap(right - baseline)
