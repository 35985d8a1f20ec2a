"""Stop when one more sample would hardly raise the chance of having seen the answer."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field

from tts.errors import ConfigError
from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.votes import Tally

__all__ = ["Saturation", "marginal_gain", "saturation_point"]


def marginal_gain(drawn: int, success: float, ceiling: float = 1.0) -> float:
    """Return what one more draw adds to F(n) = ceiling (1 - (1 - success)^n).

    F is the chance that n draws hold the answer, if each holds it with chance `success`.

    Args:
        drawn: Draws made, n.
        success: Chance of the answer in one draw, in (0, 1].
        ceiling: The most that F can reach, in (0, 1].

    Source: arXiv:2505.20522 (TTSPM), from its abstract; the formula is that of a geometric law.

    >>> marginal_gain(1, 0.5)
    0.25
    """
    return ceiling * success * (1.0 - success) ** drawn


def saturation_point(success: float, epsilon: float, ceiling: float = 1.0) -> int:
    """Return the least number of draws, at least 1, after which one more gains at most epsilon.

    N = ceil(ln(epsilon / (ceiling success)) / ln(1 - success)).

    Args:
        success: Chance of the answer in one draw, in (0, 1].
        epsilon: Gain that is not worth a draw, above 0.
        ceiling: The most that F can reach, in (0, 1].

    Raises:
        ConfigError: If an argument is out of range.

    >>> [saturation_point(*each) for each in [(0.5, 0.01, 0.6), (0.3, 0.01, 0.6), (0.1, 0.01, 0.9)]]
    [5, 9, 21]
    """
    if not (0.0 < success <= 1.0 and epsilon > 0.0 and 0.0 < ceiling <= 1.0):
        raise ConfigError(
            "saturation needs success and ceiling in (0, 1] and epsilon > 0, "
            f"got {success}, {ceiling} and {epsilon}"
        )
    if success == 1.0 or ceiling * success <= epsilon:
        return 1
    point = math.ceil(math.log(epsilon / (ceiling * success)) / math.log1p(-success))
    while point > 1 and marginal_gain(point - 1, success, ceiling) <= epsilon:
        point -= 1  # the logarithms may have been rounded up
    while marginal_gain(point, success, ceiling) > epsilon:
        point += 1
    return max(1, point)


class Saturation(StoppingRule, name="saturation"):
    """Stop when F_max p (1 - p)^n <= `epsilon`: another draw hardly adds to the chance of a hit.

    With `success` fitted on problems like these the number of draws is fixed beforehand. Without
    it, p is (leader's candidates + 1) / (candidates + 2), and the answer meant is the leader's. It
    speaks of having seen an answer, not of choosing it, and guarantees nothing.

    Source: arXiv:2505.20522 (TTSPM), from its abstract; estimating p by the leader is ours.
    """

    epsilon: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.001
    """Gain that is not worth a draw."""
    success: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Chance of the answer in one draw; null estimates it from the vote."""
    ceiling: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """The most that drawing more can reach, F_max."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return gains from 1e-8 up to 0.1."""
        gains = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1)
        return tuple(cls(epsilon=gain) for gain in gains)

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the gain is small, and there is an answer."""
        leader, drawn = tally.leader, len(tally.candidates)
        if leader is None:
            return CONTINUE
        votes = max(standing.count for standing in tally.standings)
        if not self._is_saturated(drawn, votes):
            return CONTINUE
        return self.stop(f"draw {drawn + 1} would gain at most {self.epsilon:g}")

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return after how many votes for the most frequent answer the gain is small."""
        drawn = len(tally.candidates)
        votes = max((standing.count for standing in tally.standings), default=0)
        for further in range(1, remaining):
            if self._is_saturated(drawn + further, votes + further):
                return further
        return remaining

    def _is_saturated(self, drawn: int, votes: int) -> bool:
        if self.success is not None:
            return drawn >= saturation_point(self.success, self.epsilon, self.ceiling)
        success = (votes + 1) / (drawn + 2)
        return marginal_gain(drawn, success, self.ceiling) <= self.epsilon
