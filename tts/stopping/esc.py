"""Stop when a window of draws is unanimous."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.votes import votes_to_lead
from tts.votes import Tally

__all__ = ["ESC"]


class ESC(StoppingRule, name="esc"):
    """Stop when all candidates of the last full window gave the same answer.

    Windows follow each other without overlap; one with an abstention is not unanimous. No
    guarantee: an answer of chance p fills a given window with chance p^window. The published rule
    answers with the window's answer, this one goes on unless that answer also leads the vote.

    Source: Li et al. 2024, arXiv:2401.10480 (early-stopping self-consistency, window 5).
    """

    window: Annotated[int, Field(ge=1)] = 5
    """Candidates of a window."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return windows from 12 down to 2."""
        return tuple(cls(window=window) for window in range(12, 1, -1))

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop at the end of a unanimous window whose answer leads."""
        last = tally.ballots[-self.window :]
        if len(tally.ballots) % self.window or not last or last[0] is None:
            return CONTINUE
        answers = {ballot[0] if ballot else None for ballot in last}
        leader = tally.leader
        if leader is None or answers != {leader.group}:
            return CONTINUE
        return self.stop(f"a window of {self.window} says {leader.answer}")

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return how many draws end this window if it may be unanimous, else the next one."""
        begun = len(tally.ballots) % self.window
        seen = (
            {ballot[0] if ballot else None for ballot in tally.ballots[-begun:]} if begun else set()
        )
        left = self.window - begun
        needed = votes_to_lead(tally)
        if len(seen) > 1 or any(one is None or needed[one] > left for one in seen):
            left += self.window  # the leader may fill the next one
        return min(left, remaining)
