"""How often the target took over, by turn: counts that add up, and how far off they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, Self

from pydantic import Field

from tts.frozen import Frozen
from tts.stopping.online import AdaptiveLevel
from tts.stopping.turn_scores import bucket_of

__all__ = ["TurnCounts", "TurnRate", "bound_in_words", "unclipped"]

_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class TurnRate:
    """How often the target took over in the turns of one bucket.

    Attributes:
        first_turn: The bucket's first turn.
        decisions: Chunks that were scored.
        takeovers: How many of them went to the target.
        bound: Largest distance of their share from the rate that any scores at all could have
            brought about, of all the bucket's turns together; from 1 on it says nothing, and
            levels that do not adapt have none (inf).
    """

    first_turn: int
    decisions: int
    takeovers: int
    bound: float

    @property
    def is_bound(self) -> bool:
        """Whether the bound says anything: two shares cannot be further apart than 1."""
        return self.bound < 1.0

    def __str__(self) -> str:
        """Return the unit, how often it was counted, and the bound, if it says anything."""
        said = f"off by at most {self.bound:.3g}" if self.is_bound else "says nothing yet"
        return f"from turn {self.first_turn} after {self.decisions}: {said}"


class TurnCounts(Frozen):
    """Scored chunks of each turn, and how many of them went to the target.

    >>> TurnCounts(decisions=(3, 1), takeovers=(1, 0)) + TurnCounts(decisions=(2,), takeovers=(2,))
    TurnCounts(decisions=(5, 1), takeovers=(3, 0))
    """

    decisions: tuple[_Count, ...] = ()
    """By turn."""
    takeovers: tuple[_Count, ...] = ()
    """By turn."""

    def __add__(self, other: Self) -> Self:
        """Return the counts of both."""
        pairs = zip_longest(self.decisions, other.decisions, fillvalue=0)
        taken = zip_longest(self.takeovers, other.takeovers, fillvalue=0)
        return self.model_copy(
            update={"decisions": tuple(map(sum, pairs)), "takeovers": tuple(map(sum, taken))}
        )

    def at(self, turn: int) -> tuple[int, int]:
        """Return decisions and takeovers of a turn."""
        if turn >= len(self.decisions):
            return 0, 0
        return self.decisions[turn], self.takeovers[turn]

    def rates(
        self, buckets: Sequence[int], rate: float, *, step: float = 0.0, delay: int = 0
    ) -> tuple[TurnRate, ...]:
        """Return how often the target took over, by bucket; those without a decision left out.

        Args:
            buckets: First turns of the buckets.
            rate: What was meant.
            step: How far one decision moved its turn's level.
            delay: Most decisions on a turn that were made before one of them was heard of. The
                bound holds for counts of all decisions from the first one on.
        """
        found = []
        for bucket, start in enumerate(buckets):
            turns = [turn for turn, made in enumerate(self.decisions) if made]
            own = [self.at(turn) for turn in turns if bucket_of(turn, buckets) == bucket]
            made = sum(decisions for decisions, _ in own)
            if made and step:
                level = AdaptiveLevel(target=rate, step=step, seen=made)
                bound = len(own) * level.bound(delay=delay)
            else:
                bound = math.inf
            if made:
                found.append(TurnRate(start, made, sum(taken for _, taken in own), bound))
        return tuple(found)


def unclipped(rate: float, *, step: float, lag: int) -> float:
    """Return how many samples' levels cannot leave [0, 1], whatever was decided; inf if none moves.

    The rate of independent samples is exact on average up to there: a level is then the chance of
    a takeover, and the levels' mean is the rate. Derived here: after d decisions a level has fallen
    by step (1 - rate) d at most, or risen by step rate d.

    Args:
        rate: What is meant.
        step: How far one decision moves the level.
        lag: Samples that do not see each other.

    >>> unclipped(0.4, step=0.02, lag=4), unclipped(0.1, step=1.0, lag=4)
    (37, 4)
    """
    if not step:
        return math.inf
    down, up = rate / (1.0 - rate), (1.0 - rate) / rate
    return lag + math.floor(min(down, up) / step + 1e-9)


def bound_in_words(rate: float, *, step: float, delay: int) -> str:
    """Return what is proven of a turn's rate over a stream, and from how many decisions on.

    Args:
        rate: What is meant.
        step: How far one decision moves its turn's level.
        delay: Most decisions on a turn that are made before one of them is heard of.
    """
    reach = AdaptiveLevel(target=rate, step=step, seen=1).bound(delay)
    said = (
        f"proven: off by at most {reach:.4g} / decisions on the turn, whatever the scores, which "
        f"says nothing before there are {math.floor(reach) + 1}"
    )
    swing = step * (delay + 1)
    if swing <= 1.0:
        return said
    return (
        f"{said}; levels swing: step times {delay + 1} decisions that do not see each other is "
        f"{swing:.3g}, keep it below 1"
    )
