"""Recursive self-aggregation: a population of solutions, merged in random handfuls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt

from tts.drafts import as_drafts
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy, combined
from tts.votes import Plurality, Tally, Vote

__all__ = ["RecursiveSelfAggregation"]


class RecursiveSelfAggregation(Strategy, name="rsa"):
    """Merge random subsets of a population into the next population; repeat, then vote.

    P_1 = N samples; P_{t+1} = {M(x, S_i)}, each S_i of K members of P_t drawn without replacement,
    i = 1 .. N. K = 1 refines each solution alone. Members without an answer leave the population.
    When the budget ends within a loop, what the loop has brought joins the population before it.

    Cost: at most `population * loops` completions, `loops` calls deep.
    Source: arXiv:2509.26626; the defaults are its code's, the early exit is ours.
    """

    population: PositiveInt = 16
    """N: solutions in each loop."""
    subset: PositiveInt = 4
    """K: solutions that each of the next loop sees."""
    loops: PositiveInt = 10
    """T: loops, the first samples included."""
    early_exit: bool = True
    """End when two or more members are left and all agree: merging them would add nothing."""
    final: Literal["vote", "random"] = "vote"
    """What the last population answers: its vote, or a member drawn at random."""
    vote: Vote = Plurality()
    """What each member of the last population weighs."""
    bound: PositiveInt = 1024
    """Most tokens of each solution that a merge sees."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve`, `merge`, and the roles that the vote asks."""
        return tuple(dict.fromkeys(("solve", "merge", *self.vote.roles())))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the vote needs, of those who merge as of those who solve."""
        votes = self.vote.roles()
        return combined(votes, {"merge": votes["solve"]})

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Sample, merge, vote."""
        solve = run.prompt("solve", problem=problem)
        reading = self.vote.reading(run.capabilities("solve"))
        async with run.sample(solve, self.population, **reading) as samples:
            members = [member async for member in samples if member.answer is not None]
        for _ in range(self.loops - 1):
            agree = len(members) > 1 and len(Tally.of(members).standings) == 1
            if not members or (agree and self.early_exit):
                break
            prompts = [self._merge(problem, members, run) for _ in range(self.population)]
            merged = await run.map(
                lambda prompt: run.candidate(prompt, **reading), prompts, failures="skip"
            )
            answered = [member for member in merged if member and member.answer is not None]
            if run.is_exhausted:  # what is left of a loop must not outvote a whole population
                members += answered
                break
            if not answered:
                break
            members = answered
        if self.final == "random" and members:
            members = [run.rng.choice(members)]
        return (await run.count(members, self.vote)).solution()

    def _merge(self, problem: Problem, members: list[Candidate], run: Run) -> Prompt:
        some = run.rng.sample(members, min(self.subset, len(members)))
        return run.prompt("merge", problem=problem, attempts=as_drafts(run, some, self.bound))
