"""Stop when the confident traces agree."""

from __future__ import annotations

from typing import Annotated, Self
from weakref import WeakKeyDictionary

from pydantic import Field

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.confidence import lowest_group, percentile
from tts.votes import Tally

__all__ = ["DeepConf"]

# What a tally's candidates are worth never changes, and a trace is long to add up.
_seen: WeakKeyDictionary[Tally, dict[int, list[float | None]]] = WeakKeyDictionary()


class DeepConf(StoppingRule, name="deepconf"):
    """Stop when the leader holds `consensus` of the confidence of those traces that pass a filter.

    A trace's confidence is that of its least confident group of tokens. The first `warm_up` traces
    set the filter: about a share `keep` of them passes, and later ones pass like them. No
    guarantee: a quantile of 16 traces is rough, and a model can be sure of what is wrong.

    Ending a trace midway, as the paper does, is left to the strategy: `GroupConfidence` says when.

    Source: Fu et al. 2025, arXiv:2508.15260 (DeepConf): warm-up 16, keep 0.1 (low) or 0.9 (high)
    from its code, the consensus of 0.95 at second hand.
    """

    warm_up: Annotated[int, Field(ge=1)] = 16
    """Candidates that set the filter."""
    keep: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Share of the warm-up's most confident traces that passes."""
    consensus: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Share of the confidence that the leader must hold."""
    window: Annotated[int, Field(ge=1)] = 2048
    """Tokens of a group; a shorter trace is one group."""

    @property
    def needs(self) -> frozenset[str]:
        """Alternatives of each token, from which confidence is reckoned."""
        return frozenset({"top_logprobs"})

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return settings from a late consensus of 0.99 to an early one of 0.7."""
        pairs = [(20, 0.99), (16, 0.99), (16, 0.95), (12, 0.95), (8, 0.95), (6, 0.95)]
        pairs += [(6, 0.9), (4, 0.9), (4, 0.8), (4, 0.7)]
        return tuple(cls(warm_up=first, consensus=share) for first, share in pairs)

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the confident traces agree on the leader."""
        leader = tally.leader
        if len(tally.candidates) < self.warm_up or leader is None:
            return CONTINUE
        share = self._share(tally, leader.group)
        if share < self.consensus:
            return CONTINUE
        return self.stop(f"{share:.3f} of the confidence is for {leader.answer}")

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return what the warm-up lacks; after it a single sure trace may be enough."""
        return min(remaining, max(1, self.warm_up - len(tally.candidates)))

    def _share(self, tally: Tally, group: str) -> float:
        confidences = _confidences(tally, self.window)
        known = [one for one in confidences[: self.warm_up] if one is not None]
        if not known:
            return 0.0
        least = percentile(known, 1.0 - self.keep)
        pairs = zip(tally.ballots, confidences, strict=True)
        passed = [(b[0], c) for b, c in pairs if b is not None and c is not None and c >= least]
        total = sum(confidence for _, confidence in passed)
        return sum(one for answer, one in passed if answer == group) / total if total else 0.0


def _confidences(tally: Tally, window: int) -> list[float | None]:
    known = _seen.setdefault(tally, {}).setdefault(window, [])
    for candidate in tally.candidates[len(known) :]:
        known.append(lowest_group(candidate.completion, window))
    return known
