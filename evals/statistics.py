"""Intervals, paired tests and what a sample is too small to show; all of it small and exact.

Problems are the unit: they are drawn, and whoever reads a result wants to know of others like
them. Repeats of a problem (seeds) are not independent of each other, so resampling takes whole
problems with all their repeats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "bootstrap", "detectable", "holm", "mcnemar", "wilson"]

Floats = NDArray[np.float64]
RESAMPLES: Final = 2000
_CHUNK: Final = 2_000_000
"""Most numbers that are resampled at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(right: int, n: int, level: float = 0.95) -> Interval:
    """Return a share with its interval, good for small n and shares near 0 and 1 too.

    Args:
        right: Successes, in [0, n].
        n: Independent trials, at least 1.
        level: Confidence, in (0, 1).

    Source: Wilson 1927; without continuity correction.

    >>> str(wilson(8, 10))
    '0.800 [0.490, 0.943]'
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    center, spread = right + z * z / 2, z * math.sqrt(right * (n - right) / n + z * z / 4)
    low = 0.0 if right == 0 else (center - spread) / (n + z * z)
    high = 1.0 if right == n else (center + spread) / (n + z * z)
    return Interval(right / n, low, high)


def bootstrap(
    values: Sequence[float] | Floats,
    clusters: Sequence[Any] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Return a mean with its percentile bootstrap interval over clusters.

    Args:
        values: One or more a cluster; at least one in all.
        clusters: The cluster of each value, such as its problem; None: each is its own.
        seed: Same seed, same interval.
        resamples: How often the clusters are drawn anew.
        level: Confidence, in (0, 1).

    Source: Efron 1979; for clusters, Davison and Hinkley 1997, section 3.8 (whole clusters drawn).
    """
    given = np.asarray(values, float)
    sums, counts = given, np.ones_like(given)
    if clusters is not None:
        _, codes = np.unique(np.asarray([str(each) for each in clusters]), return_inverse=True)
        sums, counts = np.bincount(codes, given), np.bincount(codes).astype(float)
    rng, means, n = np.random.default_rng(seed), list[Floats](), len(sums)
    step = max(1, _CHUNK // n)
    for start in range(0, resamples, step):
        picks = rng.integers(n, size=(min(step, resamples - start), n))
        means.append(sums[picks].sum(1) / counts[picks].sum(1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(given.mean()), float(low), float(high))


def mcnemar(better: int, worse: int) -> float:
    """Return the exact two-sided p-value that a win is as likely as a loss.

    Args:
        better: Problems that one side alone has right; at least 0.
        worse: Problems that the other side alone has right.

    Source: McNemar 1947 in the exact binomial form: the sign test over problems that differ.

    >>> mcnemar(9, 1)
    0.021484375
    """
    n, term, ways = better + worse, 1, 0
    for k in range(min(better, worse) + 1):
        ways += term  # of choosing k out of n
        term = term * (n - k) // (k + 1)
    return min(1.0, float(2 * ways / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number: the chance of any false alarm is kept.

    Source: Holm 1979, step-down; no assumption on how the tests depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def detectable(
    differences: Sequence[float] | Floats, *, power: float = 0.8, level: float = 0.95
) -> float:
    """Return the smallest true mean difference that so many pairs would probably show.

    The pairs' variance is taken as if one more had been won and one more lost, so that pairs
    which happen to agree do not promise that anything would be seen.

    Args:
        differences: Of each problem, in [-1, 1]; at least one.
        power: Chance of seeing it, in (0, 1).
        level: Confidence of the two-sided test.

    Source: the normal approximation, (z_{1-a/2} + z_power) sd / sqrt(n); the added pairs are those
    of Agresti and Min 2005.
    """
    given = np.append(np.asarray(differences, float), [1.0, -1.0])
    normal = NormalDist()
    reach = normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
    return min(1.0, reach * float(given.std()) / math.sqrt(max(1, len(given) - 2)))
