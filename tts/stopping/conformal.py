"""Split-conformal p-values and quantiles. Ranks are whole numbers: a decision can be audited.

A score says how unusual something is: larger is worse. The scores of a calibration set are compared
with a new one that must be exchangeable with them: of the same law, in no particular order.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tts.errors import ConfigError
from tts.stopping.binomial import at_most, decimal

__all__ = [
    "Mondrian",
    "Rank",
    "Scores",
    "coverage_law",
    "effective_n",
    "hierarchical_p",
    "quantile_rank",
    "uniform",
    "weighted_p",
]


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a score stands among n calibration scores.

    Attributes:
        above: Calibration scores larger than it.
        equal: Calibration scores equal to it.
        n: All calibration scores.
    """

    above: int
    equal: int
    n: int

    @property
    def p(self) -> Fraction:
        """The p-value (1 + #{s_i >= s}) / (n + 1): at most alpha with chance at most alpha."""
        return Fraction(self.above + self.equal + 1, self.n + 1)

    def smoothed(self, u: float) -> float:
        """Return (#{s_i > s} + u (1 + #{s_i = s})) / (n + 1): uniform whatever the ties.

        Args:
            u: Independent and uniform on [0, 1); see `uniform`.
        """
        return (self.above + u * (1 + self.equal)) / (self.n + 1)

    def is_at_most(self, level: float) -> bool:
        """Return whether p <= level, compared in whole numbers.

        >>> Rank(above=1, equal=1, n=9).is_at_most(0.3)
        True
        """
        return self.above + self.equal + 1 <= math.floor(decimal(level) * (self.n + 1))


class Scores:
    """A calibration set.

    Raises:
        ConfigError: If a score is not a number.

    Source: Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002. Checked against crepes.

    >>> rank = Scores([1, 2, 2, 3]).rank(2)
    >>> float(rank.p), rank.smoothed(0.5)
    (0.8, 0.5)
    """

    __slots__ = ("_sorted",)

    def __init__(self, scores: Iterable[float]) -> None:
        self._sorted = sorted(scores)
        _check(self._sorted)

    def __len__(self) -> int:
        return len(self._sorted)

    def rank(self, score: float) -> Rank:
        """Return where a score stands.

        Raises:
            ConfigError: If it is not a number.
        """
        _check([score])
        low, high = bisect_left(self._sorted, score), bisect_right(self._sorted, score)
        return Rank(above=len(self._sorted) - high, equal=high - low, n=len(self._sorted))

    def quantile(self, alpha: float) -> float:
        """Return the threshold that a new score exceeds with chance at most alpha.

        Returns:
            The k-th smallest score, k = ceil((n + 1)(1 - alpha)); infinite where k > n, since so
            few scores bound nothing.

        Raises:
            ConfigError: If alpha is not in (0, 1).
        """
        k = quantile_rank(len(self._sorted), alpha)
        return self._sorted[k - 1] if k <= len(self._sorted) else math.inf


def _check(scores: Sequence[float]) -> None:
    if any(math.isnan(score) for score in scores):
        raise ConfigError("a score is not a number: leave out what could not be scored")


def quantile_rank(n: int, alpha: float, delta: float | None = None) -> int:
    """Return which order statistic of n scores bounds a new one at level alpha.

    Args:
        n: Calibration scores.
        alpha: Chance to exceed the bound, in (0, 1).
        delta: With it, the chance to exceed the bound is at most alpha for this very calibration
            set, but for a share delta of all calibration sets; without, on average over them.

    Returns:
        k, from 1; n + 1 if no score is a bound.

    Raises:
        ConfigError: If alpha or delta is not in (0, 1).

    Source: without delta, Vovk et al. 2005. With it, Vovk 2012 (arXiv:1209.2673): coverage is
    Beta(k, n + 1 - k), and P(Beta(k, n + 1 - k) >= x) = P(Bin(n, x) <= k - 1).

    >>> quantile_rank(100, 0.1), quantile_rank(100, 0.1, delta=0.1), quantile_rank(8, 0.1)
    (91, 95, 9)
    """
    if not 0.0 < alpha < 1.0 or not 0.0 < (0.5 if delta is None else delta) < 1.0:
        raise ConfigError(f"alpha and delta lie in (0, 1), got {alpha} and {delta}")
    k = max(1, math.ceil((n + 1) * (1 - decimal(alpha))))
    if delta is not None:
        while k <= n and at_most(k - 1, n, 1.0 - alpha) < 1.0 - delta:
            k += 1
    return k


def coverage_law(n: int, alpha: float) -> tuple[float, float]:
    """Return mean and standard deviation of the coverage over calibration sets: Beta(k, n + 1 - k).

    Raises:
        ConfigError: If alpha is not in (0, 1), or n scores bound nothing.

    Source: Vovk 2012, arXiv:1209.2673, for scores without ties.

    >>> [round(each, 4) for each in coverage_law(19, 0.1)]
    [0.9, 0.0655]
    """
    k = quantile_rank(n, alpha)
    if k > n:
        raise ConfigError(f"{n} scores bound nothing at level {alpha}: at least 1/alpha - 1 do")
    mean = k / (n + 1)
    return mean, math.sqrt(mean * (1.0 - mean) / (n + 2))


def uniform(seed: int, *name: object) -> float:
    """Return a number in [0, 1) that depends on the seed and a name, never on the order of calls.

    >>> uniform(1, "a") == uniform(1, "a") != uniform(2, "a")
    True
    """
    text = "\0".join([str(seed), *map(str, name)]).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()[:7]) / 2**56


class Mondrian:
    """Calibration sets by bucket: every bucket holds its level by itself.

    The bucket of a thing must be known before its score. Where a bucket has no scores every
    p-value is 1: nothing is ruled out without evidence.

    Source: Vovk et al. 2005, section 4.5 (Mondrian conformal predictors).
    """

    __slots__ = ("_buckets",)

    def __init__(self, buckets: Mapping[Any, Iterable[float]]) -> None:
        self._buckets = {name: Scores(scores) for name, scores in buckets.items()}

    def rank(self, score: float, bucket: Hashable) -> Rank:
        """Return where a score stands in its bucket.

        Raises:
            ConfigError: If it is not a number.
        """
        return self._buckets.get(bucket, Scores(())).rank(score)

    def too_small(self, alpha: float) -> list[Hashable]:
        """Return the buckets that can rule out nothing at this level: merge them with others."""
        few = [
            name for name, own in self._buckets.items() if quantile_rank(len(own), alpha) > len(own)
        ]
        return sorted(few, key=str)


def weighted_p(
    score: float, scores: Sequence[float], weights: Sequence[float], own: float = 1.0
) -> float:
    """Return (w + sum of w_i over s_i >= s) / (w + sum of w_i).

    With weights dP_test/dP_calibration it is valid where inputs are drawn from another law than
    the calibration set's. With weights fixed beforehand (age, say) and own = 1 it is off by at
    most the weighted distance between the laws of the data and of the data with two points
    swapped.

    Args:
        score: The new score.
        scores: Calibration scores.
        weights: Their weights; at least 0.
        own: Weight of the new score; above 0.

    Raises:
        ConfigError: If a score is not a number or a weight is out of range.

    Source: Tibshirani et al. 2019, arXiv:1904.06019; Barber et al. 2023, arXiv:2202.13415. The
    theorems are from memory; both are tested by simulation.

    >>> weighted_p(2.0, [1.0, 3.0], [1.0, 1.0])
    0.6666666666666666
    """
    _check([score, *scores])
    if len(scores) != len(weights) or not own > 0.0 or not all(one >= 0.0 for one in weights):
        raise ConfigError("weighted scores need one weight each, at least 0, and own > 0")
    worse = math.fsum(w for s, w in zip(scores, weights, strict=True) if s >= score)
    return (own + worse) / (own + math.fsum(weights))


def hierarchical_p(score: float, groups: Sequence[Sequence[float]]) -> Fraction:
    """Return the p-value of one score of a new group: (1 + sum_k share_k(s_kj >= s)) / (K + 1).

    For scores in clusters, 16 samples of each of 100 questions, say: what is exchangeable are the
    groups, and scores within one. The new score is one point of K + 1, not of all samples.

    It is valid: were the new group's own share counted instead of 1, p would be the upper tail of
    the mixture (1 / (K + 1)) sum_k of the groups' laws at a draw from that mixture, which is at
    most alpha with chance at most alpha; and a share is at most 1.

    Args:
        score: The new score.
        groups: Calibration scores by group; none is empty.

    Raises:
        ConfigError: If a group is empty, or a score not a number.

    Source: derived here, as above; the method is that of Lee, Barber and Willett 2023,
    arXiv:2306.06342.

    >>> hierarchical_p(2.0, [[1.0, 3.0], [1.0, 1.0]])
    Fraction(1, 2)
    """
    if not all(groups):
        raise ConfigError("every group has at least one score")
    shares = [1 - Fraction(_below(score, group), len(group)) for group in groups]
    return (1 + sum(shares, Fraction(0))) / (len(groups) + 1)


def _below(score: float, group: Sequence[float]) -> int:
    _check([score, *group])
    return sum(one < score for one in group)


def effective_n(groups: Sequence[Sequence[float]]) -> float:
    """Return how many independent scores these clustered ones are worth.

    n / (1 + (m - 1) r), with r the intraclass correlation (one-way analysis of variance, at least
    0) and m the mean size of a group as that analysis corrects it for unequal sizes.

    Args:
        groups: Scores by group; at least two groups.

    Raises:
        ConfigError: If there are fewer than two groups, or an empty one.

    Source: Kish 1965 (design effect); Donner 1986 (the estimator).

    >>> effective_n([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    3.0
    """
    if len(groups) < 2 or not all(groups):
        raise ConfigError("clusters need at least two groups, none of them empty")
    sizes = [len(group) for group in groups]
    n, means = sum(sizes), [math.fsum(group) / len(group) for group in groups]
    grand = math.fsum(map(math.fsum, groups)) / n
    if n == len(groups):
        return float(n)
    typical = (n - sum(size * size for size in sizes) / n) / (len(groups) - 1)
    pairs = list(zip(groups, means, strict=True))
    between = math.fsum(len(g) * (mean - grand) ** 2 for g, mean in pairs) / (len(groups) - 1)
    within = math.fsum((s - mean) ** 2 for g, mean in pairs for s in g) / (n - len(groups))
    spread = between + (typical - 1.0) * within
    correlation = max(0.0, (between - within) / spread) if spread > 0.0 else 0.0
    return n / (1.0 + (typical - 1.0) * correlation)
