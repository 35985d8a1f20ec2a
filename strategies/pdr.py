"""Parallel-distill-refine: drafts in rounds, a bounded workspace between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, PositiveInt

from tts.errors import BudgetExceeded
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy
from tts.votes import Tally
from tts.workspaces import TopK, Workspace

__all__ = ["ParallelDistillRefine"]


class ParallelDistillRefine(Strategy, name="pdr"):
    """Draft in parallel, distil into a bounded workspace, refine; repeat.

    S_r = {M(x, C_{r-1})} of M_r drafts, C_r = D(x, S_r) with |C_r| <= kappa, made anew each round;
    the last round's answer, or its vote, is the answer. A round without a readable answer changes
    nothing: the best round before it stands, as it does when the budget ends.

    Cost: at most sum(rounds) completions and the workspace's calls; 2 len(rounds) - 1 calls deep,
    len(rounds) where the workspace asks nobody.
    Source: Madaan et al. 2025, arXiv:2510.01123; early exit and the free draft are ours.
    """

    rounds: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8, 4, 1)
    """Drafts in each round; end with 1 for a single final answer, else the last round votes."""
    workspace: Workspace = TopK()
    """What a round hands to the next."""
    bound: PositiveInt = 1024
    """Kappa: most tokens that a draft brings into the workspace."""
    early_exit: bool = True
    """End with the first round of two or more drafts that all agree."""
    confidence: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Agreement of drafts whose mean token probability is below this is not believed. None
    believes it, and asks for no log-probabilities."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve` and the workspace's roles."""
        return tuple(dict.fromkeys(("solve", *self.workspace.roles())))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the workspace needs, and log-probabilities for `confidence`."""
        needs = dict(self.workspace.needs())
        if self.confidence is not None:
            needs["solve"] = needs.get("solve", frozenset()) | {"logprobs"}
        return needs

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Draft, distil, refine."""
        free = run.prompt("solve", problem=problem)
        async with run.sample(free, self.rounds[0], logprobs=self._logprobs) as samples:
            drafts = [draft async for draft in samples if draft.answer is not None]
        best = Tally.of(drafts)
        for later, width in enumerate(self.rounds[1:], 2):
            agree = len(drafts) > 1 and len(Tally.of(drafts).standings) == 1
            if agree and self.early_exit and self._believes(drafts):
                break
            prompts = [free] * width
            if drafts:
                try:
                    prompts = await self.workspace.prompts(
                        problem, drafts, run, width=width, bound=self.bound
                    )
                except BudgetExceeded:
                    break
            if agree and later < len(self.rounds):
                prompts.append(free)  # one that no workspace can anchor
            earlier, drafts = drafts, await self._draft(prompts, run)
            if run.is_exhausted:  # what is left of a round must not outvote a whole one
                best = Tally.of([*earlier, *drafts])
                break
            best = Tally.of(drafts) if drafts else best
        return best.solution()

    async def _draft(self, prompts: Sequence[Prompt], run: Run) -> list[Candidate]:
        drafts = await run.map(
            lambda prompt: run.candidate(prompt, logprobs=self._logprobs), prompts, failures="skip"
        )
        return [draft for draft in drafts if draft is not None and draft.answer is not None]

    @property
    def _logprobs(self) -> bool:
        return any("logprobs" in abilities for abilities in self.needs().values())

    def _believes(self, drafts: Sequence[Candidate]) -> bool:
        if self.confidence is None:
            return True
        means = [draft.completion.mean_logprob for draft in drafts]
        sure = [math.exp(mean) for mean in means if mean is not None]
        return bool(sure) and sum(sure) / len(sure) >= self.confidence
