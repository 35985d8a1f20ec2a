"""Stop when the leader is certified as the model's most frequent answer."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import Field

from tts.stopping.base import CONTINUE, StoppingRule, Verdict, promise
from tts.stopping.votes import (
    Race,
    draws_further,
    earliest_win,
    fewest,
    mixture_e_value,
    race,
    require_iid,
    weighted_e_value,
)
from tts.votes import Plurality, Tally

__all__ = ["EProcess"]


class EProcess(StoppingRule, name="e_process"):
    """Stop when the evidence that the leader beats each rival reaches a threshold.

    Evidence is an e-process (`mixture_e_value`; for weighted votes `weighted_e_value`), so it may
    be looked at after each draw. Certified is that the answer is a mode of the model's answers (or
    has the largest expected weight), never that it is right. The leader is chosen by the data:

    * ``spending``: the k-th answer to appear is charged delta / (k (k + 1)), and its evidence
      counts from its first draw on. The charges sum to delta, for any number of answers.
    * ``leader``: all draws count, at delta / 2. Exact if two answers contend; with more it kept
      the level in simulations, and is not proven.
    * ``first``: only the answer that appears first may be certified, at delta.

    Source: derived here from Ville's inequality and a union bound; that the strongest rival
    decides is the intersection-union idea of CITE (arXiv:2605.05873, abstract).
    """

    delta: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Chance that the certified answer is no mode, at whatever draw it is certified."""
    target: Literal["spending", "leader", "first"] = "spending"
    """Which answer may be certified, and at which price."""
    unanimous: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    """Weight of the bet that the model always gives the same answer: certain answers are
    certified after fewer draws, others after some more. The level is kept whatever it is."""
    assume_iid: bool = False
    """Judge also candidates of several samples or models."""

    @classmethod
    def ladder(cls) -> tuple[Self, ...]:
        """Return levels from 0.001 up to 0.7."""
        deltas = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
        return tuple(cls(delta=delta) for delta in deltas)

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop if the leader's evidence against its strongest rival reaches the threshold."""
        if self.needs_iid:
            require_iid(tally, self.name)
        leader = tally.leader
        if leader is None:
            return CONTINUE
        known = self._race(tally, leader.group)
        evidence, threshold = self._evidence(tally, leader.group, known), self._threshold(known)
        if evidence < threshold:
            return CONTINUE
        drawn = len(tally.candidates)
        return self.stop(
            f"evidence {evidence:.4g} >= {threshold:.4g} for {leader.answer}",
            promise(
                self._claim(tally),
                kind="mode",
                level=f"error <= {self.delta:g} at any number of draws",
                unit="sample",
                n=drawn,
            ),
        )

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return how many votes in a row the leader, or whoever is near, would need."""

        def wanted(group: str, most: int) -> int:
            known = self._race(tally, group)
            threshold = self._threshold(known)
            if not isinstance(tally.vote, Plurality):
                return draws_further(lambda k: self._weight(tally, group, k) >= threshold, most)
            if math.isinf(threshold):
                return most
            return _enough(known.rival, threshold, self.unanimous) - known.own

        return earliest_win(tally, remaining, wanted)

    def _evidence(self, tally: Tally, group: str, known: Race) -> float:
        """The evidence for an answer that was seen."""
        if not isinstance(tally.vote, Plurality):
            return self._weight(tally, group, 0)
        return mixture_e_value(known.own, known.rival, self.unanimous)

    def _claim(self, tally: Tally) -> str:
        plain = isinstance(tally.vote, Plurality)
        what = "most frequent answer" if plain else "answer of largest expected weight"
        limits = " (if two answers contend)" if self.target == "leader" else ""
        return f"the model's {what}{limits}"

    def _race(self, tally: Tally, group: str) -> Race:
        return race(tally, group, after_first=self.target != "leader")

    def _threshold(self, known: Race) -> float:
        """What the evidence for an answer must reach; infinite where none is enough."""
        if self.target == "leader":
            return 2 / self.delta
        if self.target == "first":
            return 1 / self.delta if known.place == 1 else math.inf
        return known.place * (known.place + 1) / self.delta

    def _weight(self, tally: Tally, group: str, further: int) -> float:
        """The evidence by weights after further votes; an unseen rival is weaker than all."""
        ballots = [*tally.ballots, *([(group, 1.0)] * further)]
        if self.target != "leader":
            first = next(at for at, ballot in enumerate(ballots) if ballot and ballot[0] == group)
            ballots = ballots[first + 1 :]
        weights: dict[str, list[float]] = {group: []}
        for ballot in ballots:
            if ballot:
                weights.setdefault(ballot[0], []).append(ballot[1])
        own = weights.pop(group)
        rivals = [*weights.values()] or [[]]
        return min(weighted_e_value(own, rival, self.unanimous) for rival in rivals)


@lru_cache(maxsize=4096)
def _enough(rival: int, threshold: float, unanimous: float) -> int:
    """Return the votes with which the evidence against a rival's reaches a threshold above 1."""
    return fewest(lambda own: mixture_e_value(own, rival, unanimous) >= threshold)
