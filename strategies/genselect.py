"""GenSelect: candidates meet in windows, and each window's winner goes on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from tts.problem import Problem, Solution
from tts.run import Run
from tts.selection import tournament
from tts.strategy import Strategy

__all__ = ["GenSelect"]


class GenSelect(Strategy, name="genselect"):
    """Sample n candidates and let a judge compare them, few at a time, until one is left.

    A judge sees the visible text of a window's candidates, shuffled, and names a number. Windows
    of one answer need no judge; a window whose judge cannot be read goes to its own majority.

    Cost: `samples` completions and at most `sum_r ceil(samples / window^r)` judgements,
    `1 + ceil(log_window samples)` deep.
    Source: Moshkov et al. 2025 (AIMO-2 winning solution), arXiv:2504.16891; windows
    of 8 as in its released code, which has one round of random windows.
    """

    samples: PositiveInt = 16
    """Candidates."""
    window: Annotated[int, Field(ge=2)] = 8
    """Most candidates that one judgement compares."""
    bound: PositiveInt = 1024
    """Most tokens of each candidate that a judge is shown."""
    quorum: PositiveInt = 1
    """Candidates that must survive failing calls."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve` and `select`."""
        return ("solve", "select")

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Sample, and hold the tournament."""
        prompt = run.prompt("solve", problem=problem)
        async with run.sample(prompt, self.samples, quorum=self.quorum) as candidates:
            field = [candidate async for candidate in candidates]
        winner = await tournament(run, problem, field, window=self.window, bound=self.bound)
        return Solution.of(winner)
