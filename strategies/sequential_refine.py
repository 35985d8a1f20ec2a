"""Sequential refinement: one solution, improved again and again."""

from __future__ import annotations

from pydantic import PositiveInt

from tts.drafts import as_draft, clip
from tts.errors import BackendError, BudgetExceeded
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy
from tts.votes import Tally

__all__ = ["SequentialRefine"]


class SequentialRefine(Strategy, name="sequential_refine"):
    """Solve, then refine the solution: s_{t+1} = M(x, s_t), t = 0 .. rounds - 1, s_0 empty.

    The model sees its last readable solution only, never the history: parallel-distill-refine
    with one draft a round. A round that fails or cannot be read is lost; the solution before it
    stands, as it does when the budget ends.

    Cost: at most `rounds` completions, with `critique` one more between two of them, all in a row.
    Source: Madaan et al. 2025, arXiv:2510.01123 (SR, and SR with error analysis).
    """

    rounds: PositiveInt = 3
    """Solutions that are written."""
    critique: bool = False
    """Let the role `critique` look for the mistakes first; the next round sees what it found."""
    early_exit: bool = False
    """End when a round repeats the answer before it."""
    bound: PositiveInt = 1024
    """Kappa: most tokens of the solution, and of the critique, that the next round sees."""

    def roles(self) -> tuple[str, ...]:
        """Return the roles that are asked."""
        return ("solve", "critique", "refine") if self.critique else ("solve", "merge")

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Solve, refine, refine.

        Raises:
            BackendError: If every round failed.
            BudgetExceeded: If the budget ended before any solution.
        """
        last: Candidate | None = None
        failure: BackendError | None = None
        for _ in range(self.rounds):
            try:
                draft = await run.candidate(await self._prompt(problem, last, run))
            except BackendError as error:
                failure = error
                continue
            except BudgetExceeded:
                if last is None:
                    raise
                break
            if draft.answer is None:
                continue
            repeated = last is not None and len(Tally.of([last, draft]).standings) == 1
            last = draft
            if repeated and self.early_exit:
                break
        if last is None and failure is not None:
            raise failure
        return Tally.of([last] if last else []).solution()

    async def _prompt(self, problem: Problem, last: Candidate | None, run: Run) -> Prompt:
        if last is None:
            return run.prompt("solve", problem=problem)
        draft = as_draft(run, last, self.bound)
        if not self.critique:
            return run.prompt("merge", problem=problem, attempts=[draft])
        found = await run.generate(run.prompt("critique", problem=problem, solution=draft))
        notes = clip(found.visible, self.bound, run.count_tokens)
        return run.prompt("refine", problem=problem, workspace=f"{draft}\n\n{notes}".strip())
