"""Outline-guided path exploration: one joint plan of different outlines, a path along each."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from itertools import cycle, islice
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tts.diversity import distinct_answers, effective_samples
from tts.drafts import as_drafts, reconcile
from tts.errors import BackendError
from tts.lists import items
from tts.problem import Candidate, Problem, Solution
from tts.run import Run
from tts.strategy import Strategy
from tts.votes import Plurality, Vote

__all__ = ["OutlineGuided", "deduplicated"]

_HINT = "Outline: {}\nWhere the outline does not work, say so and go your own way."


class OutlineGuided(Strategy, name="outline"):
    """Plan N different outlines in one call, follow each, and aggregate.

    Samples of one prompt repeat each other: the i-th adds I(P_i; Y | P_<i, x), which falls fast.
    Outlines written together differ on purpose, so that paths along them stay worth their tokens:
    P_i ~ pi(. | x, o_i). A path may leave its outline and says so. At least one has none, lest bad
    outlines lower the floor; fewer outlines than asked for are followed several times.

    Cost: `outlines + unguided` paths, one call for the outlines, one more if some were alike, one
    to merge; 3 calls deep (4 with the second planning).
    Source: arXiv:2602.08344, prompts only (the paper trains the planner and the paths).
    """

    outlines: Annotated[int, Field(ge=1, le=32)] = 4
    """Guided paths, and outlines that are asked for."""
    unguided: PositiveInt = 1
    """Paths without an outline."""
    alike: Annotated[float, Field(gt=0.0, le=1.0)] = 0.85
    """Outlines are the same from this similarity of their words on (Ratcliff and Obershelp)."""
    path: Strategy | None = None
    """What walks each path; None is one call of `guided`, or of `solve` without an outline."""
    aggregate: Literal["vote", "merge"] = "vote"
    """How paths become an answer: their vote, or one call that compares them."""
    vote: Vote = Plurality()
    """What each path's answer weighs."""
    bound: PositiveInt = 1024
    """Most tokens of each path that the merge sees."""

    def roles(self) -> tuple[str, ...]:
        """Return the roles of planner, paths and merge."""
        paths = self.path.roles() if self.path else ("guided", "solve")
        merge = ("merge",) if self.aggregate == "merge" else ()
        return tuple(dict.fromkeys(("outline", *paths, *self.vote.roles(), *merge)))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the vote needs of the paths' models, and a nested strategy of its own."""
        votes = self.vote.roles()
        if self.path is not None:
            asked = {role: needs for role, needs in votes.items() if role != "solve"}
            return {**asked, **self.path.needs()}
        return {**votes, "guided": votes["solve"]}

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Plan, explore, aggregate."""
        plans = await self._plan(problem, run)
        guided = list(islice(cycle(plans), self.outlines)) if plans else [None] * self.outlines
        paths = await run.map(
            lambda outline: self._walk(problem, outline, run),
            [*guided, *[None] * self.unguided],
            failures="skip",
        )
        found = [path for path in paths if path is not None]
        if not found:
            found = [await run.candidate(run.prompt("solve", problem=problem))]
        run.note(
            outlines=len(plans),
            distinct_answers=distinct_answers(found),
            effective_samples=effective_samples(found),
        )
        if self.aggregate == "merge":
            return await self._merge(problem, found, run)
        return (await run.count(found, self.vote)).solution()

    async def _plan(self, problem: Problem, run: Run) -> list[str]:
        """Ask for outlines, and once more for those that repeat another."""
        prompt = run.prompt("outline", problem=problem, count=self.outlines)
        plans: list[str] = []
        for _ in range(2):
            try:
                reply = await run.generate(prompt)
            except BackendError:
                break
            written = items(reply.visible)
            if not written:
                run.count_parse_failure()
                break
            plans = deduplicated([*plans, *written], self.alike)[: self.outlines]
            if len(plans) == self.outlines or len(written) < self.outlines:
                break  # all are there, or the model says there are no more
        return plans

    async def _walk(self, problem: Problem, outline: str | None, run: Run) -> Candidate | None:
        if self.path is not None:
            hinted = problem if outline is None else problem.hinted(_HINT.format(outline))
            return (await run.solve(self.path, hinted)).best
        if outline is None:
            prompt = run.prompt("solve", problem=problem)
        else:
            prompt = run.prompt("guided", problem=problem, outline=outline)
        return await run.candidate(prompt, **self.vote.reading(run.capabilities(prompt.role)))

    async def _merge(self, problem: Problem, found: list[Candidate], run: Run) -> Solution:
        """Let one call compare the paths; their vote stands in where that gives nothing."""
        votes = await run.count(found, self.vote)
        if len(votes.standings) < 2:
            return votes.solution()
        merged = await reconcile(run, problem, as_drafts(run, found, self.bound))
        return Solution.of(merged) if merged else votes.solution()


def deduplicated(outlines: list[str], alike: float) -> list[str]:
    """Return the outlines without those that resemble an earlier one.

    Args:
        outlines: In the order in which they were written.
        alike: Least ratio of matching words, in (0, 1], case and punctuation aside, that counts
            as the same.

    >>> deduplicated(["Work backward.", "work backward", "Try small cases"], 0.85)
    ['Work backward.', 'Try small cases']
    """
    kept: dict[str, tuple[str, ...]] = {}
    for outline in outlines:
        words = tuple("".join(c if c.isalnum() else " " for c in outline.casefold()).split())
        same = (SequenceMatcher(None, words, other).ratio() >= alike for other in kept.values())
        if not any(same):
            kept[outline] = words
    return list(kept)
