"""Stop when the answers hardly disagree: low entropy."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.confidence import certaindex
from tts.stopping.votes import draws_further
from tts.votes import Tally

__all__ = ["Certaindex"]


class Certaindex(StoppingRule, name="certaindex"):
    """Stop when 1 - H / ln(n) >= `certainty`, H the entropy of the n answers.

    Abstentions are left out. No guarantee; `tts calibrate` gives it one.

    Source: Fu et al. 2024, arXiv:2412.20993 (Dynasor), from its abstract and code; where the
    scheduler there compares the index between requests, this rule compares it with a threshold.
    """

    certainty: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Index at which to stop."""
    minimum: Annotated[int, Field(ge=2)] = 4
    """Answers before which it is not trusted."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return settings from 12 agreeing answers down to two of three."""
        firsts = tuple(cls(certainty=1.0, minimum=least) for least in (12, 10, 8, 6, 5, 4))
        return firsts + tuple(cls(certainty=level) for level in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4))

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the index is high."""
        counts = [standing.count for standing in tally.standings]
        if not self._is_certain(counts):
            return CONTINUE
        return self.stop(f"certaindex {certaindex(counts):.3f} >= {self.certainty:g}")

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return how many votes in a row the most frequent answer would need."""
        counts = sorted((standing.count for standing in tally.standings), reverse=True) or [0]

        def stops(k: int) -> bool:
            return self._is_certain([counts[0] + k, *counts[1:]])

        return draws_further(stops, remaining)

    def _is_certain(self, counts: list[int]) -> bool:
        return sum(counts) >= self.minimum and certaindex(counts) >= self.certainty
