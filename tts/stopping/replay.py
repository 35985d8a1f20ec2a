"""Replay a rule over candidates that were drawn in full: what it answers, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.messages import Usage
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
        total_tokens: The same with their prompts.
        rounds: Calls on the longest chain, each waiting for the one before.
        critical_tokens: Prompt and completion tokens on the longest chain.
        stopped_by: Why it stopped, or None.
    """

    key: str | None
    samples: int
    launched: int
    tokens: int
    total_tokens: int
    rounds: int
    critical_tokens: int
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
    usages = [drawn[at].completion.usage if at in drawn else Usage() for at in range(n)]
    progress = every = [_Progress(rule, speculate, usages) for rule in rules]
    for ticket in range(n):
        progress = [one for one in progress if one.goes_on(tally, n - ticket)]
        if not progress:
            break
        if ticket in drawn:
            tally.add(drawn[ticket])
    for one in progress:
        one.key = _leader(tally)
    return [one.result() for one in every]


def _leader(tally: Tally) -> str | None:
    leader = tally.leader
    return leader.group if leader else None


class _Progress:
    """How far one rule has come."""

    def __init__(self, rule: StoppingRule, speculate: int, usages: Sequence[Usage]) -> None:
        self.rule, self.speculate, self.usages = rule, speculate, usages
        self.depths: list[int] = []
        self.ends: list[int] = []  # tokens on the longest chain that ends with a call
        self.samples = self.rounds = self.clock = 0
        self.stopped_by: StoppedBy | None = None
        self.key: str | None = None

    def goes_on(self, tally: Tally, remaining: int) -> bool:
        """Ask the rule, which still goes on; unless it stops, launch calls and consume one."""
        if tally.candidates:
            self.stopped_by = self.rule.verdict(tally, remaining).stopped_by
            if self.stopped_by is not None:
                self.key = _leader(tally)
                return False
        if len(self.depths) < len(self.usages):  # else all are under way, whatever the rule hopes
            self._launch(min(self.rule.earliest(tally, remaining) + self.speculate, remaining))
        self.rounds = max(self.rounds, self.depths[self.samples])
        self.clock = max(self.clock, self.ends[self.samples])
        self.samples += 1
        return True

    def _launch(self, wanted: int) -> None:
        for usage in self.usages[len(self.depths) : self.samples + wanted]:
            self.depths.append(self.rounds + 1)
            self.ends.append(self.clock + usage.total_tokens)

    def result(self) -> Replayed:
        launched = self.usages[: len(self.depths)]
        return Replayed(
            key=self.key,
            samples=self.samples,
            launched=len(launched),
            tokens=sum(usage.completion_tokens for usage in launched),
            total_tokens=sum(usage.total_tokens for usage in launched),
            rounds=self.rounds,
            critical_tokens=self.clock,
            stopped_by=self.stopped_by,
        )
