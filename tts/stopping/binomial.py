"""Binomial, beta and Poisson laws with whole-number parameters, in the standard library alone.

Stopping rules need no other; scipy, which knows them all, would cost every start of the program.
The sums run over logarithms, so that thousands of trials neither overflow nor vanish.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from tts.errors import ConfigError

__all__ = [
    "at_most",
    "bisect",
    "decimal",
    "erlang_cdf",
    "erlang_quantile",
    "most_failures",
    "upper_bound",
]


def decimal(value: float) -> Fraction:
    """Return a number as it is written, so that 0.3 is three tenths.

    >>> decimal(0.3) * 10
    Fraction(3, 1)
    """
    return Fraction(repr(float(value)))


def at_most(k: int, n: int, p: float) -> float:
    """Return the chance that a binomial count is at most k: P(Bin(n, p) <= k).

    It is also the chance that a Beta(k + 1, n - k) variable exceeds p. Time grows with the
    shorter tail.

    Args:
        k: Successes; any whole number.
        n: Trials; at least 0.
        p: Chance of a success, in [0, 1].

    Raises:
        ConfigError: If n or p is out of range.

    >>> at_most(1, 2, 0.5)
    0.75
    """
    if n < 0 or not 0.0 <= p <= 1.0:
        raise ConfigError(f"a binomial law needs n >= 0 and p in [0, 1], got {n} and {p}")
    if k < 0 or k >= n:
        return float(k >= n)
    if p in (0.0, 1.0):
        return 1.0 - p
    if k + 1 > n * p:  # the upper tail is the shorter sum
        return min(1.0, max(0.0, 1.0 - _mass(k + 1, n, n, p)))
    return _mass(0, k, n, p)


def _mass(first: int, last: int, n: int, p: float) -> float:
    """Sum of the probabilities of first..last."""
    log_p, log_q = math.log(p), math.log1p(-p)
    base = math.lgamma(n + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(
                base - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q
            )
            for i in range(first, last + 1)
        ),
    )


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds below a point and not above it ends, from above.

    Args:
        holds: The condition; true at `low` at most up to the point looked for.
        low: Where to look from.
        high: Where to look to.
    """
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


@lru_cache(maxsize=1024)
def upper_bound(failures: int, n: int, delta: float) -> float:
    """Return the smallest rate that so few failures rule out: the upper Clopper-Pearson bound.

    The rate lies above the bound in at most a share `delta` of all data sets.

    Args:
        failures: Failures seen, in [0, n].
        n: Independent trials.
        delta: Chance of being wrong, in (0, 1).

    Raises:
        ConfigError: If an argument is out of range.

    Source: Clopper and Pearson 1934, Biometrika 26.

    >>> round(upper_bound(0, 45, 0.1), 4)
    0.0499
    """
    if not 0 <= failures <= n or not 0.0 < delta < 1.0:
        raise ConfigError(f"no bound from {failures} failures of {n} at delta {delta}")
    if failures == n:
        return 1.0
    return bisect(lambda rate: at_most(failures, n, rate) > delta, 0.0, 1.0)


def most_failures(n: int, level: float, delta: float) -> int | None:
    """Return how many of n trials may fail if a rate above `level` is to be ruled out.

    Returns:
        The number, or None if even no failure is too little evidence: (1 - level)^n > delta.

    Raises:
        ConfigError: If `level` is no probability.

    >>> most_failures(100, 0.05, 0.1), most_failures(44, 0.05, 0.1)
    (1, None)
    """
    if at_most(0, n, level) > delta:
        return None
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(middle, n, level) <= delta else (low, middle)
    return low


def erlang_cdf(x: float, shape: int) -> float:
    """Return the chance that a sum of `shape` exponential waits of mean 1 is at most x.

    Args:
        x: A time, at least 0.
        shape: Number of waits; at least 1.

    Raises:
        ConfigError: If an argument is out of range.

    >>> round(erlang_cdf(1.0, 1), 6)
    0.632121
    """
    if x < 0.0 or shape < 1:
        raise ConfigError(f"an Erlang law needs x >= 0 and shape >= 1, got {x} and {shape}")
    if x == 0.0:
        return 0.0
    log_x = math.log(x)
    short = math.fsum(math.exp(i * log_x - x - math.lgamma(i + 1)) for i in range(shape))
    return max(0.0, 1.0 - short)


@lru_cache(maxsize=1024)
def erlang_quantile(share: float, shape: int) -> float:
    """Return the time that a sum of `shape` exponential waits of mean 1 undercuts with that chance.

    Args:
        share: In (0, 1/2].
        shape: Number of waits; at least 1.

    Raises:
        ConfigError: If an argument is out of range.

    >>> round(erlang_quantile(0.5, 1), 6)
    0.693147
    """
    if not 0.0 < share <= 0.5:
        raise ConfigError(f"a lower quantile needs a share in (0, 1/2], got {share}")
    return bisect(lambda x: erlang_cdf(x, shape) < share, 0.0, float(shape))
