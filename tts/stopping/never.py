"""Never stop early."""

from __future__ import annotations

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.votes import Tally

__all__ = ["Never"]


class Never(StoppingRule, name="never"):
    """Draw every sample, all at once."""

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Go on."""
        return CONTINUE

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return `remaining`: nothing can end the sampling sooner."""
        return remaining
