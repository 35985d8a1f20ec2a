"""Workspaces: what one round of drafts hands to the next, bounded and never kept longer.

A workspace turns the drafts of a round into the prompts of the following round. It is made anew
each round: nothing of an earlier one survives but through the drafts that it led to.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import PositiveInt

from tts.drafts import as_draft, as_drafts, digest
from tts.problem import Candidate, Problem
from tts.prompts import Prompt
from tts.registry import Component
from tts.run import Run
from tts.selection import choose
from tts.verifiers import Judge, Verifier

__all__ = ["AllDrafts", "GlobalSummary", "PerSampleTopK", "RandomK", "TopK", "Workspace"]


class Workspace(Component, group="tts.workspaces", label="workspace"):
    """C = D(x, S), |C| <= kappa: what a round of drafts S brings into the next round's prompts.

    Source: Madaan et al. 2025, arXiv:2510.01123.
    """

    writes: ClassVar[str] = "merge"
    """The role that drafts with what it hands on."""

    def roles(self) -> tuple[str, ...]:
        """Return the roles that it asks, and the one that drafts."""
        return (self.writes,)

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return the abilities that the model of each role must have."""
        return {}

    @abstractmethod
    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Return what each draft of the next round is asked.

        Args:
            problem: The question.
            drafts: This round's, at least one.
            run: Asks and shuffles.
            width: Drafts of the next round.
            bound: Most tokens that a draft may bring along.

        Returns:
            `width` prompts.

        Raises:
            BudgetExceeded: If the budget does not allow a call that this needs.
        """


class GlobalSummary(Workspace, name="global_summary"):
    """One shared digest: what the drafts agree on, what was derived, what is open.

    It has at most `bound` tokens. Cost: one call a round.
    """

    writes: ClassVar[str] = "refine"

    def roles(self) -> tuple[str, ...]:
        """Return the role that notes and the role that solves with notes."""
        return ("distil", "refine")

    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Distil once; all see the same notes."""
        notes = await digest(run, problem, as_drafts(run, drafts, bound), bound)
        return [run.prompt("refine", problem=problem, workspace=notes)] * width


class TopK(Workspace, name="top_k"):
    """The k best drafts, chosen once, verbatim for every draft of the next round.

    Without a verifier the drafts are dealt into k hands, and the role `select` names the best of
    each; a hand it names nothing of plays its first. (The paper asks once for k numbers; hands keep
    the selector's prompt short and its reply one number.) Cost: k calls a round, one deep; with a
    verifier the verifier's.
    """

    k: PositiveInt = 2
    """Drafts that the next round sees."""
    verifier: Verifier | None = None
    """Scores the drafts; the k best go on. None asks the role `select`."""

    def roles(self) -> tuple[str, ...]:
        """Return `merge`, and what the choice asks."""
        return ("merge", *(self.verifier or Judge()).roles)

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the verifier needs; drafts of later rounds are written by `merge`."""
        needs = dict(self.verifier.needs) if self.verifier else {}
        return needs | ({"merge": needs["solve"]} if "solve" in needs else {})

    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Choose once."""
        chosen = await self.choose(problem, drafts, run, bound)
        return [_merged(problem, chosen, run, bound) for _ in range(width)]

    async def choose(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, bound: int
    ) -> list[Candidate]:
        """Return the k best drafts, or all if there are no more.

        A judge is shown at most `bound` tokens of each.

        Raises:
            BudgetExceeded: If the budget does not allow the calls.
        """
        if len(drafts) <= self.k:
            return list(drafts)
        if self.verifier is None:
            dealt = run.rng.sample(list(drafts), len(drafts))
            hands = [dealt[place :: self.k] for place in range(self.k)]
            return await run.map(lambda hand: _best(problem, hand, run, bound), hands)
        scores = await self.verifier.scores(problem, drafts, run)
        judged = [(score is not None, score or 0.0) for score in scores]
        ranked = sorted(range(len(drafts)), key=lambda at: judged[at], reverse=True)
        return [drafts[at] for at in ranked[: self.k]]


class PerSampleTopK(TopK, name="per_sample_top_k"):
    """The k best drafts, chosen anew for each draft of the next round.

    Cost: k calls for each draft of the next round, one deep; with a verifier the verifier's.
    """

    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Choose `width` times at once."""

        async def prompt(_: int) -> Prompt:
            return _merged(problem, await self.choose(problem, drafts, run, bound), run, bound)

        return await run.map(prompt, range(width))


class RandomK(Workspace, name="random_k"):
    """For each draft of the next round k drafts drawn uniformly. No call."""

    k: PositiveInt = 2
    """Drafts that each of the next round sees."""

    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Draw `width` times."""
        k = min(self.k, len(drafts))
        drawn = [run.rng.sample(list(drafts), k) for _ in range(width)]
        return [_merged(problem, some, run, bound) for some in drawn]


class AllDrafts(Workspace, name="none"):
    """No choice and no digest: every draft is a reference, shuffled for each that reads them.

    Prompts grow with the round's width. No call.
    Source: PaCoRe, arXiv:2601.05593: references without their reasoning.
    """

    async def prompts(
        self, problem: Problem, drafts: Sequence[Candidate], run: Run, *, width: int, bound: int
    ) -> list[Prompt]:
        """Shuffle `width` times."""
        return [_merged(problem, drafts, run, bound) for _ in range(width)]


def _merged(problem: Problem, drafts: Sequence[Candidate], run: Run, bound: int) -> Prompt:
    return run.prompt("merge", problem=problem, attempts=as_drafts(run, drafts, bound))


async def _best(problem: Problem, hand: Sequence[Candidate], run: Run, bound: int) -> Candidate:
    if len(hand) == 1:
        return hand[0]
    chosen = await choose(run, problem, [as_draft(run, draft, bound) for draft in hand])
    return hand[chosen or 0]
