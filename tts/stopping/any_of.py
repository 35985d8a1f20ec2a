"""Stop as soon as one of several rules does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import Field

from tts.origins import Origin
from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.dominance import Dominance
from tts.stopping.e_process import EProcess
from tts.votes import Tally

__all__ = ["AnyOf"]


class AnyOf(StoppingRule, name="any_of"):
    """Stop as soon as one of `rules` does, with that rule's reason and guarantee.

    The guarantees stay as they are: a rule that another one forestalls makes its claim less often,
    and so wrongly no more often. By default the leader is certified, or cannot be overtaken.
    """

    rules: Annotated[tuple[StoppingRule, ...], Field(min_length=1)] = (EProcess(), Dominance())
    """The rules, asked in this order."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return `e_process` at levels from 0.001 up to 0.7, each with `dominance`."""
        return tuple(cls(rules=(rule, Dominance())) for rule in EProcess.ladder())

    @property
    def needs(self) -> frozenset[str]:
        """What any of the rules needs."""
        return frozenset().union(*(rule.needs for rule in self.rules))

    @property
    def needs_iid(self) -> bool:
        """True if any of the rules judges independent draws only."""
        return any(rule.needs_iid for rule in self.rules)

    def objection(self, origin: Callable[[], Origin]) -> str | None:
        """Return the first objection of a rule."""
        objections = (rule.objection(origin) for rule in self.rules)
        return next((one for one in objections if one is not None), None)

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Return the verdict of the first rule that stops."""
        for rule in self.rules:
            stopped_by = rule.verdict(tally, remaining).stopped_by
            if stopped_by is not None:
                return self.stop(f"{stopped_by.rule}: {stopped_by.reason}", stopped_by.guarantee)
        return CONTINUE

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return the earliest of all."""
        return min(rule.earliest(tally, remaining) for rule in self.rules)
