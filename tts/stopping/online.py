"""Levels and thresholds that follow what they see, and a monitor that notices drift.

Each is a frozen value: `observe` returns the next one, and `model_dump_json` keeps it between
runs. What they control is an average over time, never a single decision. A feedback of None (a call
that failed) leaves them as they are.
"""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field

from tts.errors import ConfigError
from tts.frozen import Frozen

__all__ = ["AdaptiveLevel", "DriftMonitor", "Experts", "QuantileTracker"]

_Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class AdaptiveLevel(Frozen):
    """A level that keeps a long-run rate: a' = a + step (target - miss).

    A miss is a score above the quantile at level a, whatever else happens: at a >= 1 everything
    misses, at a <= 0 nothing does. Then, for any sequence at all, the share of misses differs from
    the target by at most `bound`. It may get there by missing all and nothing in turn.

    Source: Gibbs and Candès 2021, arXiv:2106.00170, equation 2 and proposition 4.1. The bound with
    delay is derived here: with at most D decisions under way, a stays in
    [-step (D + 1), 1 + step (D + 1)].

    >>> level = AdaptiveLevel(target=0.4, step=0.1)
    >>> round(level.observe(missed=True).level, 3), round(level.observe(missed=False).level, 3)
    (0.34, 0.44)
    """

    target: _Share
    """Rate of misses that is wanted."""
    step: Annotated[float, Field(gt=0.0)] = 0.005
    """How far one observation moves the level."""
    now: float | None = None
    """The level; null before the first observation."""
    seen: Annotated[int, Field(ge=0)] = 0
    """Observations."""
    misses: Annotated[int, Field(ge=0)] = 0
    """Misses among them."""

    @property
    def level(self) -> float:
        """The level for the next decision; it may leave [0, 1]."""
        return self.target if self.now is None else self.now

    def observe(self, missed: bool | None) -> Self:
        """Return the state after one more outcome."""
        if missed is None:
            return self
        now = self.level + self.step * (self.target - missed)
        return self.model_copy(
            update={"now": now, "seen": self.seen + 1, "misses": self.misses + missed}
        )

    def bound(self, delay: int = 0) -> float:
        """Return the largest distance between the share of misses and the target.

        Args:
            delay: Most decisions that were made before an outcome was heard of.
        """
        if not self.seen:
            return math.inf
        reach = max(self.target, 1.0 - self.target) + self.step * (delay + 1)
        return reach / (self.step * self.seen)


class QuantileTracker(Frozen):
    """A threshold that a share `target` of the scores exceeds: q' = q + eta_t (miss - target).

    eta_t = step * t^-decay: 0 keeps following the scores, a value in (1/2, 1) settles where their
    law stays. For scores in [0, span] and a start in it, the share of misses differs from the
    target by at most `bound`.

    Source: Angelopoulos, Barber and Bates 2024, arXiv:2402.01139, algorithm 1 and theorem 1.

    >>> QuantileTracker(target=0.1, step=1.0, threshold=2.0).observe(3.0).threshold
    2.9
    """

    target: _Share
    """Rate of misses that is wanted."""
    step: Annotated[float, Field(gt=0.0)]
    """First step, in units of the score; a tenth of its range is a start."""
    decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Power with which steps shrink; 0.6 where the law is thought to stay."""
    threshold: float = 0.0
    """A score above it is a miss."""
    seen: Annotated[int, Field(ge=0)] = 0
    """Scores."""
    misses: Annotated[int, Field(ge=0)] = 0
    """Scores above the threshold of their time."""

    def observe(self, score: float | None) -> Self:
        """Return the state after one more score; one that is not a number changes nothing."""
        if score is None or math.isnan(score):
            return self
        missed = score > self.threshold
        eta = self.step * math.pow(self.seen + 1, -self.decay)
        threshold = self.threshold + eta * (missed - self.target)
        seen, misses = self.seen + 1, self.misses + missed
        return self.model_copy(update={"threshold": threshold, "seen": seen, "misses": misses})

    def bound(self, span: float) -> float:
        """Return the largest distance between the share of misses and the target.

        Args:
            span: The scores lie in [0, span].
        """
        if not self.seen:
            return math.inf
        last = self.step * math.pow(self.seen, -self.decay)
        return (span + self.step) / (last * self.seen)


class Experts(Frozen):
    """Adaptive levels of several steps, mixed by how well each would have done (DtACI).

    After each score beta, the largest level at which it would not have been a miss, expert i pays
    target (beta - a_i) - min(0, beta - a_i), its weight shrinks with what it paid, a share `mixing`
    is spread evenly, and its level moves as in `AdaptiveLevel`. Used is the weighted mean.

    Source: Gibbs and Candès 2022, arXiv:2208.08401; constants from the authors' code. It bounds a
    regret; no rate is promised, and none is tested.
    """

    target: _Share
    """Rate of misses that is wanted."""
    steps: tuple[Annotated[float, Field(gt=0.0)], ...] = tuple(0.001 * 2**j for j in range(8))
    """One expert each."""
    eta: Annotated[float, Field(gt=0.0)] = 2.72
    """How fast weights follow losses."""
    mixing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.001
    """Share of the weight that is spread evenly at each observation."""
    levels: tuple[float, ...] = ()
    """Each expert's level; empty before the first observation."""
    weights: tuple[float, ...] = ()
    """Each expert's weight; they sum to 1."""

    @property
    def level(self) -> float:
        """The level for the next decision."""
        pairs = zip(self._levels, self._weights, strict=True)
        return math.fsum(level * weight for level, weight in pairs)

    @property
    def _levels(self) -> tuple[float, ...]:
        return self.levels or (self.target,) * len(self.steps)

    @property
    def _weights(self) -> tuple[float, ...]:
        return self.weights or (1.0 / len(self.steps),) * len(self.steps)

    def observe(self, beta: float | None) -> Self:
        """Return the state after one more score.

        Args:
            beta: Share of earlier scores that are at least as large, in [0, 1].

        Raises:
            ConfigError: If beta is no share.
        """
        if beta is None:
            return self
        if not 0.0 <= beta <= 1.0:
            raise ConfigError(f"beta is a share, got {beta}")
        losses = [self.target * (beta - a) - min(0.0, beta - a) for a in self._levels]
        pairs = zip(self._weights, losses, strict=True)
        grown = [weight * math.exp(-self.eta * loss) for weight, loss in pairs]
        total, even = math.fsum(grown), self.mixing / len(self.steps)
        weights = tuple((1.0 - self.mixing) * weight / total + even for weight in grown)
        moves = zip(self._levels, self.steps, strict=True)
        levels = tuple(a + step * (self.target - (a > beta)) for a, step in moves)
        return self.model_copy(update={"weights": weights, "levels": levels})


class DriftMonitor(Frozen):
    """A wager that p-values are not uniform: its capital reaches 1 / delta with chance <= delta.

    Fed with smoothed p-values, each of a thing against what came before it, it raises a flag when
    those things stop being exchangeable. Capital sits on bets 1 + e (p - 1/2), e in {-1, 0, 1},
    and a share `jump` of it is spread evenly before each. Feed it one sample a question: samples
    of the same question are alike, which is no drift.

    Source: Vovk et al. 2021, arXiv:2102.10439 (simple jumper); Ville 1939. Checked against crepes.
    """

    delta: _Share = 0.01
    """Chance of a false alarm, ever."""
    jump: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Share of the capital that is spread evenly before each bet."""
    log_capital: float = 0.0
    """Natural logarithm of the capital, 1 at the start."""
    shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    """How the capital is split over e = -1, 0, 1."""
    seen: Annotated[int, Field(ge=0)] = 0
    """p-values."""
    alarm: int | None = None
    """At which p-value, from 1, the capital first reached 1 / delta."""

    def observe(self, p: float | None) -> Self:
        """Return the state after one more p-value.

        Raises:
            ConfigError: If p is not in [0, 1].
        """
        if p is None:
            return self
        if not 0.0 <= p <= 1.0:
            raise ConfigError(f"a p-value lies in [0, 1], got {p}")
        kept, even = 1.0 - self.jump, self.jump / 3.0
        pairs = zip(self.shares, (-1.0, 0.0, 1.0), strict=True)
        bets = [(kept * share + even) * (1.0 + e * (p - 0.5)) for share, e in pairs]
        total, seen = math.fsum(bets), self.seen + 1
        log_capital = self.log_capital + math.log(total)
        rings = self.alarm is None and log_capital >= -math.log(self.delta)
        return self.model_copy(
            update={
                "log_capital": log_capital,
                "shares": tuple(bet / total for bet in bets),
                "seen": seen,
                "alarm": seen if rings else self.alarm,
            }
        )
