"""Stop when the vote is decided."""

from __future__ import annotations

import math

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.votes import Tally

__all__ = ["Dominance"]


class Dominance(StoppingRule, name="dominance"):
    """Stop when the runner-up can no longer overtake the leader: `lead > remaining`.

    `lead = remaining` is enough where the leader holds the first ticket, because ties go to it.
    Each sample still to come weighs at most 1, so the answer is always that of the full vote:
    the lossless baseline for every other rule. It saves at most half of the samples.
    """

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the lead exceeds what is left, or equals it and the leader wins the tie."""
        lead = tally.exact_lead
        if lead < remaining or (lead == remaining and not tally.wins_ties):
            return CONTINUE
        drawn = len(tally.candidates)
        return self.stop(
            f"lead {tally.lead:g} > {remaining} left"
            if lead > remaining
            else f"lead {remaining} = {remaining} left, and the leader came first",
            guarantee=f"same answer as the full vote over {drawn + remaining} samples",
        )

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return the k after which `verdict` stops if all k next votes go to the leader."""
        half = (remaining - tally.exact_lead) / 2
        may_tie = tally.wins_ties or not tally.candidates  # the next ticket is then the first
        k = math.ceil(half) if may_tie else math.floor(half) + 1
        return min(max(k, 1), remaining)
