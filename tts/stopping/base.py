"""The protocol of stopping rules: when is another sample no longer worth its tokens?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from tts.origins import Origin
from tts.problem import StoppedBy
from tts.registry import Component
from tts.votes import Tally

__all__ = ["CONTINUE", "StoppingRule", "Verdict", "promise"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says: go on (`stopped_by` is None), or stop, why, and what that guarantees."""

    stopped_by: StoppedBy | None = None


CONTINUE: Final = Verdict()


class StoppingRule(Component, group="tts.rules", label="rule"):
    """Decides after each candidate, in ticket order, whether to draw more.

    Pure, synchronous, without I/O; it sees the tally only, so its decision can be replayed.
    """

    @property
    def needs(self) -> frozenset[str]:
        """Abilities that the sampled model must have."""
        return frozenset()

    @property
    def needs_iid(self) -> bool:
        """True if it judges only independent draws of one model and prompt, in ticket order.

        Such a rule has a setting `assume_iid` that lifts this.
        """
        return not getattr(self, "assume_iid", True)

    def objection(self, origin: Callable[[], Origin]) -> str | None:
        """Return why the rule may not be used in a pipeline; None if it may.

        Args:
            origin: Returns what the pipeline samples with.
        """
        return None

    def watch(self, seed: int) -> Callable[[int, int], str | None] | None:
        """Return what looks for drift over many problems; None if the rule has nothing to lose.

        Args:
            seed: Seed of the watch.

        Returns:
            A function that takes in how many candidates each problem took, in the problems' order,
            and the completion tokens of those; it returns what to warn of, or None.
        """
        return None

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return settings to calibrate, the most cautious first; fixed before any data is seen.

        Empty where there is nothing to calibrate.
        """
        return ()

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

    def stop(self, reason: str, guarantee: str | None = None) -> Verdict:
        """Return the verdict that ends sampling."""
        return Verdict(StoppedBy(rule=self.name, reason=reason, guarantee=guarantee))


def promise(
    claim: str, *, kind: str, level: str, unit: str, n: int, effective_n: float | None = None
) -> str:
    """Return a guarantee as every rule states it.

    Args:
        claim: What is said of the answer.
        kind: What is controlled: `rate`, `mode`, `disagreement` or `error`.
        level: At which level, and over what chance.
        unit: What is exchangeable: `question`, `sample` or `turn`.
        n: Units that it rests on.
        effective_n: Independent units that they are worth; n if None.

    >>> promise("the mode", kind="mode", level="error <= 0.05", unit="sample", n=9)
    'the mode; controls: mode, error <= 0.05; unit: sample, n = 9, effective n = 9'
    """
    worth = n if effective_n is None else effective_n
    return f"{claim}; controls: {kind}, {level}; unit: {unit}, n = {n}, effective n = {worth:.4g}"
