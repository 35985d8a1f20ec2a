"""Stop when the vote is decided."""

from __future__ import annotations

import math

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.votes import Tally

__all__ = ["Dominance"]


class Dominance(StoppingRule, name="dominance"):
    """Stop when the runner-up can no longer catch the leader: `lead > remaining`.

    Each sample still to come weighs at most 1, so the answer is always that of the full vote:
    the lossless baseline for every other rule. It saves at most half of the samples.
    """

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the lead exceeds what is left."""
        if tally.lead <= remaining:
            return CONTINUE
        drawn = len(tally.candidates)
        return self.stop(
            f"lead {tally.lead:g} > {remaining} left",
            guarantee=f"same answer as the full vote over {drawn + remaining} samples",
        )

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return the k with `lead + k > remaining - k` if all k next votes go to the leader."""
        k = math.floor((remaining - tally.lead) / 2) + 1
        return min(max(k, 1), remaining)
