"""Best-of-n as optimal stopping: is the best reward so far worth another draw?

A draw costs c, in units of reward. The *reservation value* t solves E[(V - t)+] = c: another draw
gains more than it costs exactly while the best reward lies below t (Weitzman 1979, Econometrica
47).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tts.errors import ConfigError
from tts.stopping.binomial import erlang_quantile

__all__ = [
    "Reservation",
    "distribution_free_reservation",
    "exponential_reservation",
    "known_reservation",
    "percentile_reservation",
    "worth_a_batch",
]


@dataclass(frozen=True, slots=True)
class Reservation:
    """An upper confidence bound on the reservation value.

    Attributes:
        value: Stop once the best reward reaches it.
        vacuous: True if the value does not depend on the rewards: none of them lies above it, or
            there are too few.
        guarantee: What is promised, and under which assumption.
    """

    value: float
    vacuous: bool
    guarantee: str


def known_reservation(rewards: Sequence[float], cost: float) -> float:
    """Return the reservation value where rewards are drawn from these, each as likely.

    Args:
        rewards: The law, as equally likely values; at least one.
        cost: Cost of a draw, above 0, in units of reward.

    Raises:
        ConfigError: If there are no rewards, or the cost is not positive.

    >>> known_reservation([0.0, 1.0], cost=0.25)
    0.5
    """
    _check(cost, len(rewards), 1)
    ordered = sorted(rewards, reverse=True)
    total = 0.0
    for taken, reward in enumerate(ordered, 1):
        total += reward
        value = (total - cost * len(ordered)) / taken  # the gain is linear between two rewards
        if taken == len(ordered) or value >= ordered[taken]:
            return value
    raise AssertionError  # the last reward ended the loop


def percentile_reservation(cost: float) -> float:
    """Return the reservation value of rewards that are percentiles, uniform on [0, 1].

    Args:
        cost: Cost of a draw in percentiles, in (0, 1/2).

    Raises:
        ConfigError: If it is out of range: no draw is worth half of the range.

    >>> percentile_reservation(0.02)
    0.8
    """
    if not 0.0 < cost < 0.5:
        raise ConfigError(f"a cost in percentiles lies in (0, 1/2), got {cost}")
    return 1.0 - math.sqrt(2.0 * cost)


def exponential_reservation(rewards: Sequence[float], cost: float, delta: float) -> Reservation:
    """Return an upper bound on the reservation value of a shifted exponential law.

    For rewards a + m Exp(1), t = a + m ln(m / c) where m >= c, else a + m - c. The least reward
    bounds a, and with S the sum of the rewards' distances from it, S / m is Gamma(n - 1):
    m <= S / g with g its quantile at delta / (n (n + 1)). These charges sum to delta: the bound
    holds at all n at once.

    Args:
        rewards: Rewards so far.
        cost: Cost of a draw, above 0, in units of reward.
        delta: Chance that the bound ever fails, in (0, 1).

    Raises:
        ConfigError: If an argument is out of range.

    Source: derived here; the idea of a parametric upper bound on the index is that of
    arXiv:2510.01394, whose own bound was not read.
    """
    _check(cost, len(rewards), 0, delta)
    claim = f"draws end too early with chance <= {delta:g} at any n, if rewards are exponential"
    n = len(rewards)
    if n < 2:
        return Reservation(math.inf, vacuous=True, guarantee=claim)
    least = min(rewards)
    excess = math.fsum(reward - least for reward in rewards)
    share = delta / (n * (n + 1))
    scale = excess / erlang_quantile(share, n - 1)
    gained = scale * math.log(scale / cost) if scale >= cost else scale - cost
    return Reservation(least + gained, vacuous=False, guarantee=claim)


def distribution_free_reservation(
    rewards: Sequence[float], cost: float, delta: float, *, highest: float
) -> Reservation:
    """Return an upper bound on the reservation value without assuming a law.

    t+ solves the integral from t to `highest` of min(1, 1 - F_n(x) + b) dx = c, with F_n the
    rewards' distribution and b = sqrt(ln(1 / share) / 2n), share = delta / (n (n + 1)), the
    one-sided Dvoretzky-Kiefer-Wolfowitz band, held at all n at once. With few draws b is near 1,
    and the bound near `highest - cost`, whatever was drawn: of little use below a hundred draws.

    Args:
        rewards: Rewards so far.
        cost: Cost of a draw, above 0, in units of reward.
        delta: Chance that the bound ever fails, in (0, 1).
        highest: The largest possible reward.

    Raises:
        ConfigError: If an argument is out of range, or a reward is above `highest`.

    Source: derived here; Massart 1990, Ann. Probab. 18, for the constant.
    """
    _check(cost, len(rewards), 0, delta)
    if any(reward > highest for reward in rewards):
        raise ConfigError(f"a reward is above the highest, {highest:g}")
    n = len(rewards)
    claim = f"draws end too early with chance <= {delta:g} at any n, whatever the law"
    top = highest - cost
    if n == 0:
        return Reservation(top, vacuous=True, guarantee=claim)
    band = math.sqrt(math.log(n * (n + 1) / delta) / (2 * n))
    edge, gain, above = highest, 0.0, 0
    for reward in sorted(rewards, reverse=True):
        height = min(1.0, above / n + band)
        if gain + height * (edge - reward) >= cost:
            break
        gain, edge, above = gain + height * (edge - reward), reward, above + 1
    value = edge - (cost - gain) / min(1.0, above / n + band)
    return Reservation(value, vacuous=above == 0, guarantee=claim)


def worth_a_batch(rewards: Sequence[float], best: float, size: int, cost: float) -> bool:
    """Return whether opening `size` draws at once gains more than they cost.

    The gain is E[(max of size draws - best)+], draws from the given rewards, each as likely.

    Args:
        rewards: The law, as equally likely values; at least one.
        best: Best reward so far.
        size: Draws of the batch; at least 1.
        cost: Cost of one draw, above 0.

    Raises:
        ConfigError: If an argument is out of range.

    >>> worth_a_batch([0.0, 1.0], best=0.0, size=2, cost=0.3)
    True
    """
    _check(cost, len(rewards), 1)
    if size < 1:
        raise ConfigError(f"a batch has at least one draw, got {size}")
    ordered, n = sorted(rewards), len(rewards)
    chances = [((at + 1) / n) ** size - (at / n) ** size for at in range(n)]
    pairs = zip(ordered, chances, strict=True)
    gain = math.fsum(max(0.0, reward - best) * chance for reward, chance in pairs)
    return gain > size * cost


def _check(cost: float, n: int, least: int, delta: float = 0.5) -> None:
    if not cost > 0.0 or n < least or not 0.0 < delta < 1.0:
        raise ConfigError(
            f"a reservation needs cost > 0, at least {least} rewards and delta in (0, 1), "
            f"got {cost}, {n} and {delta}"
        )
