"""Universal self-consistency: sample, then let the model choose among its own responses."""

from __future__ import annotations

from pydantic import PositiveInt

from tts.problem import Problem, Solution
from tts.run import Run
from tts.selection import select
from tts.strategy import Strategy

__all__ = ["UniversalSelfConsistency"]


class UniversalSelfConsistency(Strategy, name="universal_self_consistency"):
    """Sample n responses and let one call, which sees them all, choose among them.

    They are shown shuffled; the reply is a number. Where they all agree nobody is asked; where no
    number can be read, the majority decides.

    Cost: `samples` completions and one call with all of them in its prompt, two deep.
    Source: Chen et al. 2023, arXiv:2311.17311. There the call is asked for the most
    consistent response; the library's template `select` asks for the correct one.
    """

    samples: PositiveInt = 8
    """Responses."""
    bound: PositiveInt = 1024
    """Most tokens of each response that the choice is shown."""
    quorum: PositiveInt = 1
    """Responses that must survive failing calls."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve` and `select`."""
        return ("solve", "select")

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Sample, choose."""
        prompt = run.prompt("solve", problem=problem)
        async with run.sample(prompt, self.samples, quorum=self.quorum) as candidates:
            responses = [candidate async for candidate in candidates]
        return Solution.of(await select(run, problem, responses, bound=self.bound))
