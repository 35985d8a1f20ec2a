"""How much more samples can bring: curves fitted to what was measured, and where they flatten.

Three models of the share F(N) of problems solved with N samples, or after N rounds:

single     F(N) = ceiling (1 - (1 - rate)^N): one rate for all problems
beta       F(N) = 1 - B(a, b + N) / B(a, b): each problem has its own rate, Beta(a, b) distributed
two_state  F(N) = ceiling + (first - ceiling) memory^(N - 1): rounds that repair and break answers

Source: Wang et al. 2025, arXiv:2505.20522 (single; its fit is not published: this one is ours, and
so are the other two models).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tts.errors import ConfigError

__all__ = ["FITS", "BetaMixture", "Curve", "SingleRate", "TwoState", "fit_beta", "fit_single",
           "fit_two_state"]  # fmt: skip

Floats = NDArray[np.float64]

_LOGITS: Final = np.linspace(-7.0, 7.0, 561)
_MEMORIES: Final = np.linspace(0.0, 0.998, 300)
_NARROWINGS: Final = 6
_MOST: Final = 1 << 40
"""Samples beyond which nobody plans."""


class Curve(Protocol):
    """A fitted curve."""

    @property
    def ceiling(self) -> float:
        """What no number of samples exceeds, in [0, 1]."""
        ...

    def value(self, samples: int) -> float:
        """Return F(N), for N >= 1."""
        ...

    def enough(self, epsilon: float) -> int:
        """Return N*, the least N >= 1 from which another sample brings at most epsilon."""
        ...

    def settings(self) -> dict[str, float]:
        """Return the fitted parameters by name."""
        ...


@dataclass(frozen=True, slots=True)
class SingleRate:
    """Every problem that can be solved is solved by a sample with the same probability.

    >>> [SingleRate(c, p).enough(e) for c, p, e in [(.6, .5, .01), (.6, .3, .01), (.9, .1, .01)]]
    [5, 9, 21]
    """

    ceiling: float
    """In [0, 1]."""
    rate: float
    """In (0, 1)."""

    def value(self, samples: int) -> float:
        """Return F(N)."""
        return float(self.ceiling * -math.expm1(samples * math.log1p(-self.rate)))

    def enough(self, epsilon: float) -> int:
        """Return `ceil(ln(epsilon / (ceiling rate)) / ln(1 - rate))`, at least 1."""
        first = self.ceiling * self.rate
        if first <= epsilon:
            return 1
        samples = math.log(epsilon / first) / math.log1p(-self.rate)
        return max(1, math.ceil(samples - 1e-9))

    def settings(self) -> dict[str, float]:
        """Return ceiling and rate."""
        return {"ceiling": self.ceiling, "rate": self.rate}


@dataclass(frozen=True, slots=True)
class BetaMixture:
    """Rates that differ from problem to problem, as a Beta distribution; the ceiling is 1."""

    alpha: float
    beta: float

    @property
    def ceiling(self) -> float:
        """1: each problem has some rate above 0."""
        return 1.0

    def value(self, samples: int) -> float:
        """Return F(N)."""
        a, b = self.alpha, self.beta
        missed = math.lgamma(b + samples) - math.lgamma(a + b + samples)
        return -math.expm1(missed + math.lgamma(a + b) - math.lgamma(b))

    def enough(self, epsilon: float) -> int:
        """Return N* by bisection: what another sample brings only falls."""
        high = 1
        while high < _MOST and self._gain(high) > epsilon:
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._gain(middle) > epsilon else (low, middle)
        return high

    def _gain(self, samples: int) -> float:
        """F(N + 1) - F(N) = E[p (1 - p)^N]."""
        a, b = self.alpha, self.beta
        return (1.0 - self.value(samples)) * a / (a + b + samples)

    def settings(self) -> dict[str, float]:
        """Return alpha and beta."""
        return {"alpha": self.alpha, "beta": self.beta}


@dataclass(frozen=True, slots=True)
class TwoState:
    """Rounds that repair a wrong answer with one probability and break a right one with another."""

    ceiling: float
    """Where the rounds settle, in [0, 1]; below `first` if they do harm."""
    first: float
    """After the first round, in [0, 1]."""
    memory: float
    """`1 - repairs - breaks`, in [0, 1)."""

    @property
    def repairs(self) -> float:
        """P(right after a round | wrong before)."""
        return self.ceiling * (1.0 - self.memory)

    @property
    def breaks(self) -> float:
        """P(wrong after a round | right before)."""
        return (1.0 - self.ceiling) * (1.0 - self.memory)

    def value(self, samples: int) -> float:
        """Return F(N) after N rounds."""
        return float(self.ceiling + (self.first - self.ceiling) * self.memory ** (samples - 1))

    def enough(self, epsilon: float) -> int:
        """Return N*; 1 where rounds bring nothing or do harm."""
        gain = (self.ceiling - self.first) * (1.0 - self.memory)
        if gain <= epsilon:
            return 1
        if self.memory == 0.0:
            return 2
        return 1 + math.ceil(math.log(epsilon / gain) / math.log(self.memory) - 1e-9)

    def settings(self) -> dict[str, float]:
        """Return the parameters, and what they say of a round."""
        return {
            "ceiling": self.ceiling,
            "first": self.first,
            "memory": self.memory,
            "repairs": self.repairs,
            "breaks": self.breaks,
        }


def _checked(sizes: Floats, values: Floats, weights: Floats | None, least: int) -> Floats:
    if len({*sizes.tolist()}) < least:
        raise ConfigError(f"a fit needs at least {least} different numbers of samples")
    if sizes.min() < 1 or not ((values >= 0) & (values <= 1)).all():
        raise ConfigError("a fit needs numbers of samples from 1 and shares in [0, 1]")
    return np.ones_like(values) if weights is None else weights


def _lowest(loss: Callable[[Floats], Floats], grid: Floats) -> float:
    """Return where a loss is least: the best of a grid, of a finer one around it, and so on."""
    for _ in range(_NARROWINGS):
        at = int(loss(grid).argmin())
        last = len(grid) - 1
        best = float(grid[at])
        grid = np.linspace(grid[max(at - 1, 0)], grid[min(at + 1, last)], 21)
    return best


def fit_single(sizes: Floats, values: Floats, weights: Floats | None = None) -> SingleRate:
    """Fit ceiling and rate by weighted least squares.

    For a given rate the best ceiling is `min(1, sum w y g / sum w g^2)` with
    `g = 1 - (1 - rate)^N`; the rate is found by a search on its logit in [-7, 7].

    Args:
        sizes: Numbers of samples, from 1, at least two different ones; shape (points,).
        values: Shares solved with them, in [0, 1].
        weights: Trials behind each; None counts all alike.

    Raises:
        ConfigError: If there are too few points or they lie outside their ranges.
    """
    trials = _checked(sizes, values, weights, 2)

    def solved(logits: Floats) -> tuple[Floats, Floats]:
        shape = -np.expm1(
            -np.logaddexp(0.0, logits)[:, None] * sizes
        )  # ln(1 - rate) = -ln(1 + e^x)
        ceiling = (trials * values * shape).sum(1) / (trials * shape**2).sum(1)
        ceiling = np.minimum(ceiling, 1.0)
        return ceiling, (trials * (values - ceiling[:, None] * shape) ** 2).sum(1)

    logit = _lowest(lambda logits: solved(logits)[1], _LOGITS)
    ceiling = float(solved(np.array([logit]))[0][0])
    return SingleRate(ceiling, 1.0 / (1.0 + math.exp(-logit)))


def fit_beta(sizes: Floats, values: Floats, weights: Floats | None = None) -> BetaMixture:
    """Fit a Beta mixture of rates by weighted least squares; arguments and errors as `fit_single`.

    The search is on the logit of the mean rate and the log of alpha + beta, which depend on each
    other little, on grids that shrink around the best point.
    """
    trials = _checked(sizes, values, weights, 2)
    steps, rows = np.arange(int(sizes.max())), sizes.astype(int) - 1
    center, width, points = np.array([0.0, 2.0]), 8.0, 81  # dense at first, lest a valley be missed
    for _ in range(40):
        axis = np.linspace(-width, width, points)
        logit, log_sum = np.meshgrid(center[0] + axis, center[1] + axis, indexing="ij")
        total = np.exp(log_sum)[..., None]
        b = total / (1.0 + np.exp(logit))[..., None]
        missed = np.exp((np.log(b + steps) - np.log(total + steps)).cumsum(-1))[..., rows]
        losses = (trials * (values - 1.0 + missed) ** 2).sum(-1)
        at = np.unravel_index(losses.argmin(), losses.shape)
        center = np.array([logit[at], log_sum[at]])
        width, points = (1.0, 13) if points == 81 else (width / 1.4, 13)
    beta = float(np.exp(center[1]) / (1.0 + np.exp(center[0])))
    return BetaMixture(float(np.exp(center[1])) - beta, beta)


def fit_two_state(sizes: Floats, values: Floats, weights: Floats | None = None) -> TwoState:
    """Fit rounds that repair and break, by weighted least squares; errors as `fit_single`.

    For a given memory, ceiling and first are a linear fit, kept in [0, 1]; the memory is searched
    in [0, 1).

    Args:
        sizes: Rounds, from 1, at least three different ones; shape (points,).
        values: Shares that are right after them.
        weights: Trials behind each.
    """
    trials = _checked(sizes, values, weights, 3)

    def solved(memories: Floats) -> tuple[Floats, Floats, Floats]:
        power = np.power(memories[:, None], sizes - 1.0)
        return _boxed(1.0 - power, power, values, trials)

    memory = _lowest(lambda memories: solved(memories)[2], _MEMORIES)
    ceiling, first, _ = solved(np.array([memory]))
    return TwoState(float(ceiling[0]), float(first[0]), memory)


def _boxed(
    one: Floats, other: Floats, values: Floats, trials: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit `c one + f other` with c and f in [0, 1], for each row; return c, f and the loss."""

    def dot(left: Floats, right: Floats) -> Floats:
        return np.asarray((trials * left * right).sum(-1))

    def alone(basis: Floats, rest: Floats) -> Floats:
        norm = dot(basis, basis)
        return np.clip(dot(basis, rest) / np.where(norm > 0, norm, 1.0), 0.0, 1.0)

    aa, ab, bb = dot(one, one), dot(one, other), dot(other, other)
    ay, by = dot(one, values), dot(other, values)
    determinant = aa * bb - ab**2
    free = determinant > 1e-12 * np.maximum(aa * bb, 1e-300)
    scale = np.where(free, determinant, 1.0)
    c, f = (ay * bb - by * ab) / scale, (by * aa - ay * ab) / scale
    free &= (c >= 0) & (c <= 1) & (f >= 0) & (f <= 1)
    tries = [(np.where(free, c, 0.0), np.where(free, f, 0.0))]  # (0, 0) is no better than an edge
    for edge in (0.0, 1.0):
        tries.append((np.full_like(c, edge), alone(other, values - edge * one)))
        tries.append((alone(one, values - edge * other), np.full_like(f, edge)))
    losses = np.array(
        [(trials * (values - c[:, None] * one - f[:, None] * other) ** 2).sum(1) for c, f in tries]
    )
    best = (losses.argmin(0), np.arange(len(c)))
    return (
        np.array([c for c, _ in tries])[best],
        np.array([f for _, f in tries])[best],
        losses[best],
    )


FITS: Final[dict[str, Callable[[Floats, Floats], Curve]]] = {
    "single": fit_single,
    "beta": fit_beta,
    "two_state": fit_two_state,
}
"""The models by name."""
