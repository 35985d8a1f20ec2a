"""Replay a rule over candidates that were drawn in full: what it answers, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.problem import Candidate, StoppedBy
from tts.stopping.base import StoppingRule
from tts.votes import Tally, Vote

__all__ = ["Replayed", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a rule would have done.

    Attributes:
        key: The canonical answer, or None.
        samples: Tickets that were consumed.
        launched: Tickets that were sent, those that the stop found under way included.
        tokens: Completion tokens of those; what a stop cancels is counted in full.
        rounds: Calls on the longest chain, each waiting for the one before.
        stopped_by: Why it stopped, or None.
    """

    key: str | None
    samples: int
    launched: int
    tokens: int
    rounds: int
    stopped_by: StoppedBy | None


def replay(
    rule: StoppingRule,
    candidates: Sequence[Candidate],
    n: int,
    *,
    vote: Vote | None = None,
    speculate: int = 0,
) -> Replayed:
    """Replay a rule on one problem, as `run.sample` would have run it.

    Args:
        rule: The rule.
        candidates: What was drawn; tickets that are missing failed.
        n: Tickets in full.
        vote: How candidates weigh.
        speculate: Calls in flight beyond what the rule allows.
    """
    drawn = {candidate.ticket: candidate for candidate in candidates}
    tally, depths = Tally(vote), list[int]()
    samples = rounds = 0
    stopped_by = None
    while samples < n:
        remaining = n - samples
        if tally.candidates:
            stopped_by = rule.verdict(tally, remaining).stopped_by
            if stopped_by is not None:
                break
        wanted = min(rule.earliest(tally, remaining) + speculate, remaining)
        depths += [rounds + 1] * (samples + wanted - len(depths))
        rounds = max(rounds, depths[samples])
        if samples in drawn:
            tally.add(drawn[samples])
        samples += 1
    leader = tally.leader
    return Replayed(
        key=leader.group if leader else None,
        samples=samples,
        launched=len(depths),
        tokens=sum(
            drawn[ticket].completion.usage.completion_tokens
            for ticket in range(len(depths))
            if ticket in drawn
        ),
        rounds=rounds,
        stopped_by=stopped_by,
    )
