"""The tally of candidates' answers, and the votes that weigh them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from tts.answers import equivalent
from tts.backends.base import Capabilities
from tts.errors import ConfigError
from tts.problem import Candidate, Solution
from tts.registry import Component

__all__ = ["Confidence", "Plurality", "Standing", "Tally", "Vote", "count"]


class Vote(Component, group="tts.votes", label="vote"):
    """How much a candidate's answer counts.

    Most votes weigh a candidate by itself. One that weighs them against each other, or asks a
    model, is *collective*: it overrides `weigh`, and counts when all candidates are there.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    """Abilities that the sampled model must have."""
    is_collective: ClassVar[bool] = False
    """True if it weighs candidates all together only: a stopping rule then has no vote to watch
    and never stops, and `run.count` makes the tally."""

    def roles(self) -> Mapping[str, frozenset[str]]:
        """Return the roles that it asks or reads, and the abilities that each one's model needs."""
        return {"solve": self.needs}

    def alternatives(self) -> int:
        """Return how many alternatives it reads of each sampled token, where a model gives them."""
        return 0

    def reading(self, capabilities: Capabilities) -> dict[str, Any]:
        """Return the options of a call whose candidate this vote shall weigh."""
        most = min(self.alternatives(), capabilities.top_logprobs)
        is_read = most > 0 or "logprobs" in self.roles().get("solve", ())
        return {"logprobs": True, **({"top_logprobs": most} if most else {})} if is_read else {}

    @abstractmethod
    def weight(self, candidate: Candidate) -> float | None:
        """Return the candidate's weight, in [0, 1]; None if it cannot be weighed (it abstains).

        Of a collective vote it is provisional, for whoever watches while candidates come in.
        """

    async def weigh(
        self,
        candidates: Sequence[Candidate],
        run: Any,  # a Run, which stands above the votes
    ) -> list[tuple[Candidate, float | None]]:
        """Return all candidates, scored if this vote scores, each with its weight.

        Args:
            candidates: Those with an answer.
            run: Makes the calls, if there are any.
        """
        return [(candidate, self.weight(candidate)) for candidate in candidates]


class Plurality(Vote, name="plurality"):
    """One candidate, one vote.

    Source: Wang et al. 2022, arXiv:2203.11171, section 2.
    """

    def weight(self, candidate: Candidate) -> float:
        """Return 1."""
        return 1.0


class Confidence(Vote, name="confidence"):
    """Weigh a candidate by how sure the model was of its own words.

    The weight is `exp(sharpness * mean_logprob)`: a monotone transform of the length-normalised
    likelihood of Wang et al. 2022 (arXiv:2203.11171, section 2). `sharpness` 1 is theirs, larger
    values trust the surest candidates more. No calibration is claimed.
    """

    needs = frozenset({"logprobs"})

    sharpness: Annotated[float, Field(gt=0.0, le=1000.0)] = 20.0

    def weight(self, candidate: Candidate) -> float | None:
        """Return the weight, or None without log-probabilities."""
        mean = candidate.completion.mean_logprob
        return None if mean is None else math.exp(self.sharpness * mean)


_NO_WEIGHT: Final = Fraction(0)


class Standing:
    """One answer's place in a tally."""

    __slots__ = ("_best_weight", "best", "count", "exact", "first_ticket", "group")

    def __init__(self, candidate: Candidate, weight: float, group: str = "") -> None:
        self.group = group
        """The key under which its ballots stand in `Tally.ballots`."""
        self.best = candidate
        """Its heaviest candidate, the earliest among equals."""
        self.first_ticket = candidate.ticket
        self.exact = Fraction(weight)
        """Sum of its candidates' weights; exact, lest rounding break ties."""
        self._best_weight = weight
        self.count = 1
        """Number of its candidates."""

    def add(self, candidate: Candidate, weight: float) -> None:
        """Count one more candidate for this answer."""
        if (weight, -candidate.ticket) > (self._best_weight, -self.best.ticket):
            self.best, self._best_weight = candidate, weight
        self.first_ticket = min(self.first_ticket, candidate.ticket)
        self.exact += Fraction(weight)
        self.count += 1

    @property
    def weight(self) -> float:
        """Sum of its candidates' weights."""
        return float(self.exact)

    @property
    def answer(self) -> str:
        """The answer as its best candidate wrote it."""
        return self.best.answer or ""


class Tally:
    """Counts candidates by answer. Equivalent answers count together; ties go to the first ticket.

    >>> from tts.testing import candidate
    >>> tally = Tally()
    >>> for ticket, answer in enumerate(["8", "7", "7.0", None]):
    ...     tally.add(candidate(answer, ticket=ticket))
    >>> tally.solution().answer, tally.lead, tally.abstentions
    ('7', 1.0, 1)
    """

    def __init__(self, vote: Vote | None = None) -> None:
        self.vote = vote or Plurality()
        self.candidates: list[Candidate] = []
        """All candidates, in the order in which they were added."""
        self.ballots: list[tuple[str, float] | None] = []
        """Each candidate's answer and its weight, in that order; None where it abstained."""
        self.abstentions = 0
        """Candidates without an answer or a weight."""
        self._is_provisional = False
        self._standings: dict[str, Standing] = {}
        self._ordered: list[Standing] | None = None
        self._group: dict[str, str] = {}

    @classmethod
    def of(cls, candidates: Iterable[Candidate], vote: Vote | None = None) -> Tally:
        """Return the tally of these candidates."""
        tally = cls(vote)
        for candidate in candidates:
            tally.add(candidate)
        return tally

    def add(self, candidate: Candidate) -> None:
        """Count a candidate by the weight that the vote gives it.

        Raises:
            ConfigError: If the vote gives a weight outside [0, 1].
        """
        self.count(candidate, None if candidate.key is None else self.vote.weight(candidate))
        self._is_provisional = self.vote.is_collective

    def count(self, candidate: Candidate, weight: float | None) -> None:
        """Count a candidate by this weight; None abstains.

        Raises:
            ConfigError: If the weight lies outside [0, 1].
        """
        self.candidates.append(candidate)
        self._ordered = None
        key = candidate.key
        if weight is not None and not 0.0 <= weight <= 1.0:
            raise ConfigError(f"vote {self.vote.name!r} gave {weight}: weights lie in [0, 1]")
        if key is None or weight is None:
            self.abstentions += 1
            self.ballots.append(None)
            return
        group = self._group_of(key)
        self.ballots.append((group, weight))
        if group in self._standings:
            self._standings[group].add(candidate, weight)
        else:
            self._standings[group] = Standing(candidate, weight, group)

    def _group_of(self, key: str) -> str:
        if key not in self._group:
            same = (group for group in self._standings if equivalent(group, key))
            self._group[key] = next(same, key)
        return self._group[key]

    @property
    def standings(self) -> list[Standing]:
        """All answers, the leader first."""
        return self._in_order().copy()

    def _in_order(self) -> list[Standing]:
        if self._ordered is None:  # a rule asks several times between two candidates
            self._ordered = sorted(
                self._standings.values(), key=lambda s: (-s.exact, s.first_ticket)
            )
        return self._ordered

    @property
    def leader(self) -> Standing | None:
        """The answer with the largest weight, or None before the first vote."""
        return next(iter(self._in_order()), None)

    @property
    def lead(self) -> float:
        """Leader's weight minus the runner-up's; an unseen runner-up weighs 0."""
        return float(self.exact_lead)

    @property
    def exact_lead(self) -> Fraction:
        """The lead without rounding, for rules that compare it with a whole number."""
        first, second = ([standing.exact for standing in self._in_order()[:2]] + [_NO_WEIGHT] * 2)[
            :2
        ]
        return first - second if second else first

    @property
    def wins_ties(self) -> bool:
        """True if the leader stays first whichever answer draws level, whatever is still to come.

        It then holds ticket 0, before which there is none, and was counted before any other
        answer, which decides where tickets of several samples are equal.
        """
        first = next(iter(self._standings.values()), None)
        return first is not None and first.first_ticket == 0 and first is self.leader

    def solution(self) -> Solution:
        """Return the leader's answer with all candidates, or no answer if all abstained.

        Raises:
            ConfigError: If the vote is collective and `run.count` has not made this tally.
        """
        if self._is_provisional:
            raise ConfigError(
                f"vote {self.vote.name!r} weighs candidates all together: "
                "the strategy must count them by `await run.count(candidates, vote)`"
            )
        leader = self.leader
        return Solution(
            answer=leader.answer if leader else None,
            text=leader.best.text if leader else "",
            status="ok" if leader else "no_answer",
            candidates=tuple(sorted(self.candidates, key=lambda c: c.ticket)),
        )


async def count(run: Any, candidates: Iterable[Candidate], vote: Vote | None = None) -> Tally:
    """Return the tally of candidates that are all there. The calls of a collective vote.

    Args:
        run: Makes those calls.
        candidates: What is counted.
        vote: Weighs them; by default each counts once.

    Raises:
        BackendError, BudgetExceeded: As the vote's own calls.
        ConfigError: If a weight lies outside [0, 1].
    """
    tally, drawn = Tally(vote), list(candidates)
    answered = [candidate for candidate in drawn if candidate.answer is not None]
    weighed = iter(await tally.vote.weigh(answered, run) if answered else ())
    for candidate in drawn:  # in their order, with those that abstain
        tally.count(*((candidate, None) if candidate.answer is None else next(weighed)))
    return tally
