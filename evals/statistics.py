"""Intervals, paired tests and what a sample is too small to show; all of it small and exact.

Problems are the unit: they are drawn, and whoever reads a result wants to know of others like
them. Repeats of a problem (seeds) are not independent of each other, so resampling takes whole
problems with all their repeats.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVEL", "Interval", "bootstrap", "detectable", "drawn_anew", "holm", "mcnemar", "sign_flip",
    "spread", "wilson",
]  # fmt: skip

Floats = NDArray[np.float64]
LEVEL: Final = 0.05
"""A p-value below it tells apart; the chance of a false alarm."""
RESAMPLES: Final = 2000
_EXACT: Final = 200
"""Most problems for which the power of a test is computed exactly."""
_CHUNK: Final = 2_000_000
"""Most numbers that are resampled at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95% interval."""

    mean: float
    low: float
    high: float

    def hull(self, other: Interval) -> Interval:
        """Return the interval around two, and the middle of their means.

        >>> Interval(0.5, 0.25, 0.75).hull(Interval(0.75, 0.5, 1.0))
        Interval(mean=0.625, low=0.25, high=1.0)
        """
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Interval((self.mean + other.mean) / 2, low, high)

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
    beside: Sequence[float] = (),
) -> Interval:
    """Return a mean with its percentile bootstrap interval over clusters.

    Args:
        values: One or more a cluster; at least one in all.
        clusters: The cluster of each value, such as its problem; None: each is its own.
        seed: Same seed, same interval.
        resamples: How often the clusters are drawn anew.
        level: Confidence, in (0, 1).
        beside: Values of further clusters that only the interval counts. One at either end of what
            is possible keeps it from collapsing where all values happen to agree.

    Source: Efron 1979; for clusters, Davison and Hinkley 1997, section 3.8 (whole clusters drawn).
    """
    given = np.asarray(values, float)
    sums, counts = given, np.ones_like(given)
    if clusters is not None:
        _, codes = np.unique(np.asarray([str(each) for each in clusters]), return_inverse=True)
        sums, counts = np.bincount(codes, given), np.bincount(codes).astype(float)
    if beside:
        typical = float(counts.mean())
        sums = np.append(sums, np.asarray(beside, float) * typical)
        counts = np.append(counts, np.full(len(beside), typical))
    drawn = drawn_anew(len(sums), seed=seed, resamples=resamples)
    means = [sums[picks].sum(1) / counts[picks].sum(1) for picks in drawn]
    return spread(float(given.mean()), means, level)


def drawn_anew(
    clusters: int, *, width: int = 1, seed: int = 0, resamples: int = RESAMPLES
) -> Iterator[NDArray[np.int64]]:
    """Yield which clusters each resample draws, in arrays of shape (resamples, clusters).

    Args:
        clusters: At least 1.
        width: Numbers a cluster that whoever asks holds; the more, the smaller the arrays.
        seed: Same seed, same draws.
        resamples: Rows of all arrays together.
    """
    rng, step = np.random.default_rng(seed), max(1, _CHUNK // (clusters * width))
    for start in range(0, resamples, step):
        yield rng.integers(clusters, size=(min(step, resamples - start), clusters))


def spread(mean: float, resampled: Sequence[Floats], level: float = 0.95) -> Interval:
    """Return an estimate with the percentile interval of its resampled values."""
    ends = np.quantile(np.concatenate(resampled), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(ends[0]), float(ends[1]))


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


def sign_flip(differences: Sequence[int]) -> float:
    """Return the exact two-sided p-value of the mean of paired differences.

    It is the chance that their sum is as far from 0 or farther if each had either sign with the
    same chance, independently of the others. Where they are -1, 0 and 1 that is McNemar's test.
    The level holds exactly for differences that are distributed alike around 0. Where only their
    mean is 0 it holds nearly, if they are many: 100 of which each is 3 with a chance of a quarter
    and else -1 have p < 0.05 in 5.3% of cases; with 9 and a chance of a tenth, in 6.6%.

    Args:
        differences: One a problem, such as the sum over its seeds of a strategy's right answers
            less the other side's; any order.

    Source: Fisher 1935, section 21 (the randomisation test of paired differences); by convolution
    as in Pagano and Tritchler 1983. It counts on whole numbers, so sums that are equal are equal.

    >>> sign_flip([1] * 9 + [-1]) == mcnemar(9, 1)
    True
    >>> sign_flip([5, 1, 1])
    0.25
    """
    often = Counter(abs(each) for each in differences if each)
    if len(often) < 2:
        won = sum(each > 0 for each in differences)
        return mcnemar(won, often.total() - won)
    total = sum(size * count for size, count in often.items())
    most = (total - abs(sum(differences))) // 2  # of the smaller sum of one sign
    *sizes, last = sorted(often, key=lambda size: often[size])
    ways: Floats = np.ones(1)  # chance of each sum of one sign
    for size in sizes:
        ways = _convolved(ways, _fair(often[size]), size)[: most + 1]
    below = np.cumsum(ways)
    at = most - last * np.arange(often[last] + 1)
    rest = below[np.minimum(at[at >= 0], len(below) - 1)]
    return min(1.0, 2 * float(_fair(often[last])[: len(rest)] @ rest))


def _convolved(ways: Floats, chances: Floats, step: int) -> Floats:
    """Return the chances of sums of one number and `step` times another, independent of it."""
    found = np.zeros(len(ways) + step * (len(chances) - 1))
    for start in range(min(step, len(ways))):
        part = np.convolve(ways[start::step], chances)
        found[start::step][: len(part)] = part
    return found


def _fair(n: int) -> Floats:
    """Return the chance of each number of heads in n throws of a fair coin; shape (n + 1,)."""
    chances, ways = np.empty(n + 1), 1
    for k in range(n + 1):
        chances[k] = ways / 2**n  # whole numbers: no float holds them
        ways = ways * (n - k) // (k + 1)
    return chances


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


def detectable(differences: Sequence[float], *, power: float = 0.8, level: float = 0.95) -> float:
    """Return the smallest true gain that so many problems would probably show, in [0, 1].

    It is the gain at which `sign_flip` finds a win with the chance `power`. How much problems
    differ is taken as if one more had been won and one more lost, so that sides which happen to
    agree do not promise that anything would be seen.

    Args:
        differences: One a problem, at least one: the mean over its seeds, in [-1, 1].
        power: Chance of seeing it, in (0, 1).
        level: Confidence of the two-sided test: 1 - 0.05 / m is what the first step of `holm` asks
            of m tests.

    Source: for differences of -1, 0 and 1 the exact power of the sign test up to 200 problems, a
    larger gain than their share being of problems that are all won; else the normal approximation,
    (t_{1-a/2} + z_power) sd / sqrt(n), and 1 / n of the smallest difference since sums go in steps.
    The added pairs are those of Agresti and Min 2005. With several seeds a gain is taken to spread
    as if runs were won one by one; simulated in that way, the power was 0.66 to 1.
    """
    n, sizes = len(differences), [abs(each) for each in differences if each]
    if 2.0 * 0.5**n >= 1 - level:
        return 1.0  # even if all are won
    if all(size == 1.0 for size in sizes):
        return _detectable(n, (len(sizes) + 2) / (n + 2), None, power, level)
    moment = (sum(size * size for size in sizes) + 2) / (n + 2)
    return _detectable(n, moment, min(sizes), power, level)


@lru_cache(maxsize=256)
def _detectable(n: int, moment: float, step: float | None, power: float, level: float) -> float:
    """Return the gain that is seen where squares are `moment` on average; step: None if all 1."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if step is None and n <= _EXACT:
            is_seen = _is_seen(n, moment, middle, power, level)
        else:
            z = NormalDist().inv_cdf((1 + level) / 2)
            least = z + (z**3 + z) / (4 * n - 4)  # Student's t, nearly: the spread is estimated
            reach = least + NormalDist().inv_cdf(power)
            # A gain comes of runs that are won one by one, and so spreads at least as these do.
            square = middle * middle + middle * (1 - middle) * (step or 1.0)
            error = math.sqrt((max(moment, square) - middle * middle) / n)
            is_seen = middle >= reach * error + (step or 1.0) / n
        low, high = (low, middle) if is_seen else (middle, high)
    return high


def _is_seen(n: int, share: float, gain: float, power: float, level: float) -> bool:
    """Return whether the exact test finds the gain, if such a share of problems differs."""
    differ = max(share, gain)
    log_ways, is_win = _tables(n, level)
    wins, losses = (differ + gain) / 2, (differ - gain) / 2
    counts = np.arange(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_wins = np.where(counts == 0, 0.0, counts * np.log(wins))
        log_losses = np.where(counts == 0, 0.0, counts * np.log(losses))
        log_rest = np.where(counts == 0, 0.0, counts * np.log(1.0 - differ))
    rest = n - counts[:, None] - counts
    chances = np.where(
        rest >= 0,
        log_ways + log_wins[:, None] + log_losses + log_rest[np.maximum(rest, 0)],
        -np.inf,
    )
    return float(np.exp(chances[is_win]).sum()) >= power


@lru_cache(maxsize=4)
def _tables(n: int, level: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return log multinomial coefficients of (wins, losses), and where wins are significant."""
    log_factorial = np.array([math.lgamma(count + 1) for count in range(n + 1)])
    counts = np.arange(n + 1)
    rest = np.maximum(n - counts[:, None] - counts, 0)
    ways = log_factorial[n] - log_factorial[:, None] - log_factorial - log_factorial[rest]
    is_win = np.zeros((n + 1, n + 1), dtype=bool)
    for losses in range(n + 1):
        least = next((w for w in range(losses, n + 1) if mcnemar(w, losses) < 1 - level), n + 1)
        is_win[least:, losses] = True
    return ways, is_win
