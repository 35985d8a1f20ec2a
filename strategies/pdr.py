"""Parallel-distill-refine: drafts in rounds, a bounded workspace between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from tts.errors import BudgetExceeded
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy, combined
from tts.votes import Plurality, Tally, Vote
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
    vote: Vote = Plurality()
    """What each draft of the last round weighs."""
    confidence: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Agreement of drafts whose mean token probability is below this is not believed. None
    believes it, and asks for no log-probabilities."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve`, the workspace's roles, and those that the vote asks."""
        return tuple(dict.fromkeys(("solve", *self.workspace.roles(), *self.vote.roles())))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what workspace and vote need, and log-probabilities for `confidence`."""
        votes = self.vote.roles()
        sure = frozenset({"logprobs"} if self.confidence is not None else ())
        drafting = {self.workspace.writes: votes["solve"]}
        return combined(self.workspace.needs(), votes, drafting, {"solve": sure})

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Draft, distil, refine."""
        free = run.prompt("solve", problem=problem)
        async with run.sample(free, self.rounds[0], **self._reading(free, run)) as samples:
            drafts = [draft async for draft in samples if draft.answer is not None]
        best = drafts
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
                best = [*earlier, *drafts]
                break
            best = drafts or best
        return (await run.count(best, self.vote)).solution()

    async def _draft(self, prompts: Sequence[Prompt], run: Run) -> list[Candidate]:
        drafts = await run.map(
            lambda prompt: run.candidate(prompt, **self._reading(prompt, run)),
            prompts,
            failures="skip",
        )
        return [draft for draft in drafts if draft is not None and draft.answer is not None]

    def _reading(self, prompt: Prompt, run: Run) -> dict[str, Any]:
        """Return the options of a draft that workspace, vote and `confidence` shall read."""
        is_read = any("logprobs" in abilities for abilities in self.needs().values())
        reading = self.vote.reading(run.capabilities(prompt.role))
        return {"logprobs": is_read, **reading}

    def _believes(self, drafts: Sequence[Candidate]) -> bool:
        if self.confidence is None:
            return True
        means = [draft.completion.mean_logprob for draft in drafts]
        sure = [math.exp(mean) for mean in means if mean is not None]
        return bool(sure) and sum(sure) / len(sure) >= self.confidence
