"""Replay a rule over candidates that were drawn in full: what it answers, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.problem import Candidate, StoppedBy
from tts.stopping.base import StoppingRule
from tts.votes import Tally, Vote

__all__ = ["Replayed", "replay", "replay_all"]


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
    return replay_all([rule], candidates, n, vote=vote, speculate=speculate)[0]


def replay_all(
    rules: Sequence[StoppingRule],
    candidates: Sequence[Candidate],
    n: int,
    *,
    vote: Vote | None = None,
    speculate: int = 0,
) -> list[Replayed]:
    """Replay several rules on one problem; they share the tally. See `replay`."""
    drawn = {candidate.ticket: candidate for candidate in candidates}
    tally = Tally(vote)
    progress = [_Progress(rule, speculate) for rule in rules]
    for ticket in range(n):
        going = [one for one in progress if one.goes_on(tally, n - ticket)]
        if not going:
            break
        if ticket in drawn:
            tally.add(drawn[ticket])
    for one in progress:
        if one.stopped_by is None:
            one.key = _leader(tally)
    lengths = [
        drawn[at].completion.usage.completion_tokens if at in drawn else 0 for at in range(n)
    ]
    return [one.result(lengths) for one in progress]


def _leader(tally: Tally) -> str | None:
    leader = tally.leader
    return leader.group if leader else None


class _Progress:
    """How far one rule has come."""

    def __init__(self, rule: StoppingRule, speculate: int) -> None:
        self.rule, self.speculate = rule, speculate
        self.depths: list[int] = []
        self.samples = self.rounds = 0
        self.stopped_by: StoppedBy | None = None
        self.key: str | None = None

    def goes_on(self, tally: Tally, remaining: int) -> bool:
        """Ask the rule; if it does not stop, launch what it allows and consume a ticket."""
        if self.stopped_by is None and tally.candidates:
            self.stopped_by = self.rule.verdict(tally, remaining).stopped_by
            self.key = _leader(tally)
        if self.stopped_by is not None:
            return False
        wanted = min(self.rule.earliest(tally, remaining) + self.speculate, remaining)
        self.depths += [self.rounds + 1] * (self.samples + wanted - len(self.depths))
        self.rounds = max(self.rounds, self.depths[self.samples])
        self.samples += 1
        return True

    def result(self, lengths: Sequence[int]) -> Replayed:
        launched = len(self.depths)
        tokens = sum(lengths[:launched])
        return Replayed(self.key, self.samples, launched, tokens, self.rounds, self.stopped_by)
