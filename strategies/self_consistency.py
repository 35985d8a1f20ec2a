"""Self-consistency: sample reasoning paths, answer with the majority."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveInt

from tts.problem import Problem, Solution
from tts.run import Run
from tts.stopping import Dominance, StoppingRule
from tts.strategy import Strategy, combined
from tts.votes import Plurality, Tally, Vote

__all__ = ["SelfConsistency"]


class SelfConsistency(Strategy, name="self_consistency"):
    """Sample reasoning paths and answer with the majority: argmax_a sum_i w_i 1[a_i = a].

    Cost: at most `samples` completions, one call deep if the rule is `never`, else one round deep
    for each time the rule had to look.
    Source: Wang et al. 2022, arXiv:2203.11171, section 2.
    """

    samples: PositiveInt = 16
    """Most reasoning paths."""
    stop: StoppingRule = Dominance()
    """When the rest of the paths is not worth drawing."""
    vote: Vote = Plurality()
    """What each path's answer weighs; with a collective one no rule stops."""
    quorum: PositiveInt = 1
    """Paths that must survive failing calls."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve` and the roles that the vote asks."""
        return tuple(self.vote.roles())

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the vote needs of each role's model, and the rule of the sampled one."""
        return combined(self.vote.roles(), {"solve": self.stop.needs})

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Sample, count, stop, answer."""
        votes = Tally(self.vote)
        prompt = run.prompt("solve", problem=problem)
        async with run.sample(
            prompt, self.samples, stop=self.stop, votes=votes, quorum=self.quorum
        ) as candidates:
            async for candidate in candidates:
                votes.add(candidate)
        if self.vote.is_collective:
            votes = await run.count(votes.candidates, self.vote)
        return votes.solution()
