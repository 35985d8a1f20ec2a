"""Parallel thinking: independent paths, then one call that reads their conclusions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tts.drafts import as_drafts, digest, reconcile
from tts.errors import BudgetExceeded, ConfigError
from tts.messages import Message
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy
from tts.votes import Plurality, Tally, Vote

__all__ = ["ParallelThinking"]

_MOST_TOLD = 8  # bounds of what the digest is told: so many times what it may keep


class ParallelThinking(Strategy, name="parallel_thinking"):
    """Think along P independent paths, then let the same model reconcile their conclusions.

    A merge call sees every path's visible text, or a digest of it, at most `bound` tokens each, in
    random order; never raw reasoning. Where the paths agree it is not made; where it fails, the
    budget refuses it, or its answer cannot be read, the paths vote.

    Cost: `paths` completions and one merge, two deep; with digests `paths` more calls, three deep.
    Source: ParaThinker, arXiv:2509.04475: its native form shares keys and values and is trained.
    This is the form over a chat API; the gains reported there are not for untrained models.
    """

    paths: PositiveInt = 4
    """P, paths."""
    path_tokens: PositiveInt | None = None
    """B, most tokens of a path; None leaves it to the model's own setting."""
    finish_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """The share of paths that must finish; the others are then cut off. 1 waits for the last, .5
    for half; 1 / P is the paper's First-Finish. Below 1 results depend on timing."""
    agreement: Annotated[float, Field(gt=0.5, le=1.0)] | None = 1.0
    """The share of answers that makes a merge needless; null always merges."""
    compaction: Literal["conclusion", "digest"] = "conclusion"
    """What of a path the merge sees: the end of its visible text, or a digest by `distil`."""
    bound: PositiveInt = 1024
    """Kappa, most tokens that a path brings into the merge."""
    nudges: tuple[str, ...] = ()
    """Path i's prompt ends with the i-th of these, in turn: ways to begin, for models that can
    follow them. The shared part stands first, where providers cache it."""
    vote: Vote = Plurality()
    """What a path's answer weighs where the merge gives none."""
    mode: Literal["auto", "chat", "native"] = "auto"
    """`native` is one call on shared keys and values, for models with the ability `paths`."""

    def roles(self) -> tuple[str, ...]:
        """Return the roles of paths, digests and merge, and those that the vote asks."""
        digests = ("distil",) if self.compaction == "digest" else ()
        return tuple(dict.fromkeys((*self.vote.roles(), *digests, "merge")))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the vote needs, and `paths` for the native form."""
        native = frozenset({"paths"}) if self.mode == "native" else frozenset()
        needs = dict(self.vote.roles())
        return needs | {"solve": needs["solve"] | native}

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Think, exit if all agree, merge, else vote.

        Raises:
            BackendError: If every path failed.
            ConfigError: If the native form is asked for.
        """
        if self.mode == "native":
            raise ConfigError("the native form is not part of this version: set mode: chat")
        finished, cut = await self._think(problem, run)
        if self._is_settled(Tally.of(finished)):
            return (await run.count(finished, self.vote)).solution()
        merged = await self._merge(problem, run, [*finished, *cut])
        if merged is None:
            return (await run.count(finished, self.vote)).solution()
        return Solution.of(merged)

    async def _think(self, problem: Problem, run: Run) -> tuple[list[Candidate], list[Candidate]]:
        """Return the paths that finished, and those that were cut off."""
        enough = max(1, math.ceil(self.finish_ratio * self.paths - 1e-9))
        prompt, finished = run.prompt("solve", problem=problem), list[Candidate]()
        options = self.vote.reading(run.capabilities("solve"))
        if self.path_tokens is not None:
            options["max_tokens"] = self.path_tokens
        async with run.sample(
            [_nudged(prompt, nudge) for nudge in self.nudges] or prompt,
            self.paths,
            order="ticket" if enough == self.paths else "completion",
            keep_cut=enough < self.paths,
            **options,
        ) as paths:
            async for path in paths:
                finished.append(path)
                if len(finished) == enough:
                    break
        return sorted(finished, key=lambda path: path.ticket), paths.cut

    def _is_settled(self, votes: Tally) -> bool:
        """True if so many agree that a merge would only cost; one answer agrees with nobody."""
        valid = len(votes.candidates) - votes.abstentions
        if votes.leader is None or self.agreement is None or (valid == 1 < self.paths):
            return False
        return votes.leader.count >= self.agreement * valid

    async def _merge(
        self, problem: Problem, run: Run, paths: Sequence[Candidate]
    ) -> Candidate | None:
        """Let the role `merge` reconcile the paths; None if there is nothing to, or it fails."""
        try:
            attempts = await self._compact(problem, run, paths)
        except BudgetExceeded:
            return None
        return await reconcile(run, problem, attempts)

    async def _compact(self, problem: Problem, run: Run, paths: Sequence[Candidate]) -> list[str]:
        if self.compaction == "conclusion":
            return as_drafts(run, paths, self.bound)
        told = as_drafts(run, paths, _MOST_TOLD * self.bound)
        return await run.map(lambda draft: digest(run, problem, [draft], self.bound), told)


def _nudged(prompt: Prompt, nudge: str) -> Prompt:
    *before, last = prompt.messages
    content = f"{last.content}\n\n{nudge}"
    return Prompt(prompt.role, (*before, Message(role=last.role, content=content)))
