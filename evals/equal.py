"""Self-consistency at the cost of another strategy, from samples that were drawn once.

Matched to a cost is the N, between 1 and m, at which self-consistency costs as much on average over
the problems, the two whole numbers around it interpolated: the same N for every problem. A cost
outside of what 1 to m samples cost is matched with the end that is nearer; by how much they differ
is told, and a note says so where it is more than half a percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

from tts.evals.pools import Floats
from tts.evals.statistics import Interval, drawn_anew, spread

__all__ = ["Compared", "Matched", "at_equal_cost", "compare", "matched"]

_SAME: Final = 1e-9
"""Relative difference of two costs that are sums of the same floats in another order."""
_NEAR: Final = 0.005
"""Relative difference up to which two costs count as equal: votes that cost half a percent more win
less than a tenth of a point, where doubling them wins ten."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The samples with which self-consistency costs as much as something else."""

    samples: float
    low: int
    """The whole number below."""
    weight: float
    """Of the whole number above."""
    note: str
    """`capped`: even the whole pool costs less; `dearer`: even one sample costs more; both by more
    than half a percent."""
    off: float = 0.0
    """What the other costs more than the votes here, or less if negative, as a share of theirs."""

    def at(self, curve: Floats) -> Floats:
        """Return the values of curves, shape (problems, m), at the match."""
        above = min(self.low, curve.shape[1] - 1)
        values: Floats = (1 - self.weight) * curve[:, self.low - 1] + self.weight * curve[:, above]
        return values

    def dealt(self, curve: Floats, keys: Sequence[str]) -> Floats:
        """Return values at whole numbers of samples that cost as much on average over problems.

        Each problem gets the number below or the one above, as many the latter as `weight` says:
        rounding one number for all would compare at another cost.

        Args:
            curve: Shape (problems, m).
            keys: A name of each problem; by its digest, which nobody has chosen, it is dealt.
        """
        digests = [blake2b(key.encode(), digest_size=8).digest() for key in keys]
        order = sorted(range(len(keys)), key=digests.__getitem__)
        columns = np.full(len(keys), self.low - 1)
        columns[order[: round(self.weight * len(keys))]] += 1
        values: Floats = curve[np.arange(len(keys)), np.minimum(columns, curve.shape[1] - 1)]
        return values


def matched(costs: Floats, target: float) -> Matched:
    """Return the samples at which mean costs, increasing with N = 1..m, meet a target."""
    if target < costs[0]:
        return _at_end(1, float(costs[0]), target, "dearer")
    if target >= costs[-1] * (1 - _SAME):
        return _at_end(len(costs), float(costs[-1]), target, "capped")
    low = int(np.searchsorted(costs, target, side="right"))
    weight = float((target - costs[low - 1]) / (costs[low] - costs[low - 1]))
    return Matched(low + weight, low, weight, "")


def _at_end(samples: int, cost: float, target: float, note: str) -> Matched:
    """Return the match with the most or the fewest samples that there are, and how near it is."""
    off = target / cost - 1.0 if cost else 0.0
    off = off if abs(off) > _SAME else 0.0
    return Matched(float(samples), samples, 0.0, note if abs(off) > _NEAR else "", off)


@dataclass(frozen=True, slots=True)
class Compared:
    """A strategy beside self-consistency at its cost."""

    match: Matched
    baseline: Interval
    """Self-consistency's accuracy there."""
    gain: Interval
    """The strategy's less that, paired by problem."""

    def hull(self, other: Compared) -> Compared:
        """Return what holds if either of two may be true: means between, intervals around both."""
        return Compared(self.match, self.baseline.hull(other.baseline), self.gain.hull(other.gain))


def compare(
    right: Floats,
    spent: Floats,
    accuracy: Floats,
    costs: Floats,
    problems: Sequence[str] | None = None,
) -> Compared:
    """Compare a strategy with as many samples of self-consistency as cost what it has cost.

    Each resample of the problems is matched anew: what is known of both mean costs is an estimate
    too, and a strategy that is dear on few problems may owe its match to having met one of them.
    The intervals count two problems more, one at either end of what is possible.

    Args:
        right: The strategy's result on each pair, 0 or 1; shape (pairs,).
        spent: What each has cost it; shape (pairs,).
        accuracy: Self-consistency's curves on the same; shape (pairs, m).
        costs: Likewise what N samples cost, increasing with N.
        problems: The problem of each pair; several of one are drawn together. None: all differ.
    """
    match = matched(costs.mean(0), float(spent.mean()))
    baseline = match.at(accuracy)
    codes = np.unique(problems, return_inverse=True)[1] if problems else np.arange(len(right))
    n, m = int(codes.max()) + 1, accuracy.shape[1]
    table = np.zeros((n, 3 + 2 * m))  # sums of each problem: pairs, right, spent, curves, costs
    np.add.at(table, codes, np.column_stack([np.ones_like(right), right, spent, accuracy, costs]))
    typical, alone, gains = len(right) / n, list[Floats](), list[Floats]()
    for picks in drawn_anew(n + 2, width=2):
        lines = np.arange(len(picks))[:, None] * (n + 2)
        counts = np.bincount((picks + lines).ravel(), minlength=len(picks) * (n + 2))
        often: Floats = counts.reshape(len(picks), n + 2).astype(float)
        lost, won = typical * often[:, n], typical * often[:, n + 1]
        sums: Floats = often[:, :n] @ table
        pairs, hits, cost = sums[:, 0], sums[:, 1], sums[:, 2]
        votes = at_equal_cost(sums[:, 3 + m :], cost, sums[:, 3 : 3 + m])
        alone.append((votes + won) / (pairs + lost + won))
        gains.append((hits - votes + won - lost) / (pairs + lost + won))
    return Compared(
        match,
        spread(float(baseline.mean()), alone),
        spread(float((right - baseline).mean()), gains),
    )


def at_equal_cost(costs: Floats, targets: Floats, values: Floats) -> Floats:
    """Return each row's value at the N at which its costs meet its target; see `matched`."""
    last = costs.shape[1] - 1
    below = np.clip((costs <= targets[:, None]).sum(1) - 1, 0, last)
    above, rows = np.minimum(below + 1, last), np.arange(len(costs))
    gaps = costs[rows, above] - costs[rows, below]
    weights = np.clip((targets - costs[rows, below]) / np.where(gaps > 0.0, gaps, 1.0), 0.0, 1.0)
    found: Floats = (1 - weights) * values[rows, below] + weights * values[rows, above]
    return found
