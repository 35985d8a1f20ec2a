"""The protocol of stopping rules: when is another sample no longer worth its tokens?"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

from tts.problem import StoppedBy
from tts.registry import Component
from tts.votes import Tally

__all__ = ["CONTINUE", "StoppingRule", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says: go on (`stopped_by` is None), or stop, why, and what that guarantees."""

    stopped_by: StoppedBy | None = None


CONTINUE: Final = Verdict()


class StoppingRule(Component, group="tts.rules", label="rule"):
    """Decides after each candidate, in ticket order, whether to draw more.

    Pure, synchronous, without I/O; it sees the tally only, so its decision can be replayed.
    """

    @abstractmethod
    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Judge the tally.

        Args:
            tally: All candidates consumed so far.
            remaining: Samples that may still be drawn; at least 1.
        """

    @abstractmethod
    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return after how many more candidates the rule could stop at the earliest.

        The run keeps that many in flight: with fewer it would wait needlessly, with more a stop
        would already have paid for what it saves.

        Returns:
            A number in [1, remaining].
        """

    def stop(self, reason: str, guarantee: str | None) -> Verdict:
        """Return the verdict that ends sampling."""
        return Verdict(StoppedBy(rule=self.name, reason=reason, guarantee=guarantee))
