"""Stop when the leader is probably the likelier answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Self

from pydantic import Field

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.votes import earliest_win, fewest, majority_posterior, race, require_iid
from tts.votes import Tally

__all__ = ["Beta"]


class Beta(StoppingRule, name="beta"):
    """Stop when P(leader likelier than runner-up | their counts) >= `confidence`.

    Counts candidates, whatever they weigh. The cheapest of the usual rules, and without a
    guarantee: it looks after each draw, and at a true tie of two answers it stops about 42 % of the
    time within 40 draws at confidence 0.95. `tts calibrate` gives it one.

    Source: Aggarwal et al. 2023, arXiv:2305.11860 (Adaptive-Consistency, the Beta criterion, with
    its defaults: confidence 0.95, 40 samples).
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Posterior chance at which to stop."""
    assume_iid: bool = False
    """Judge also candidates of several samples or models."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return confidences from 0.9999 down to 0.6."""
        cautious = (0.9999, 0.9995, 0.999, 0.998, 0.995, 0.99, 0.98, 0.97)
        bold = (0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6)
        return tuple(cls(confidence=level) for level in cautious + bold)

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the posterior chance is reached."""
        if self.needs_iid:
            require_iid(tally, self.name)
        leader, rival = _counts(tally)
        chance = majority_posterior(leader, rival)
        if chance < self.confidence:
            return CONTINUE
        plural = "" if leader == 1 else "s"
        return self.stop(
            f"{leader} vote{plural} to {rival}: posterior {chance:.4f} >= {self.confidence:g}"
        )

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return how many votes in a row the leader, or whoever is near, would need."""

        def wanted(group: str, most: int) -> int:
            known = race(tally, group)
            return _enough(known.rival, self.confidence) - known.own

        return earliest_win(tally, remaining, wanted)


@lru_cache(maxsize=4096)
def _enough(rival: int, confidence: float) -> int:
    """Return the votes with which the chance against a rival reaches a confidence above 1/2."""
    return fewest(lambda own: majority_posterior(own, rival) >= confidence)


def _counts(tally: Tally) -> tuple[int, int]:
    """Candidates of the leader, and of the most frequent other answer."""
    standings = tally.standings
    rival = max((standing.count for standing in standings[1:]), default=0)
    return (standings[0].count if standings else 0), rival
