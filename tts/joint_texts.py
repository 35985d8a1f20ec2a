"""Texts that a draft and a target write together: who writes, who reads, what is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from tts.errors import BackendError, BudgetExceeded
from tts.messages import Completion, Usage
from tts.problem import Candidate, Problem
from tts.run import Run

__all__ = ["Chunk", "JointText", "Writers"]


@dataclass(slots=True)
class JointText:
    """A text that several models write together.

    Attributes:
        sample: Its number.
        text: What is written of it.
        is_over: Whether whoever wrote last has ended it.
        takeovers: How often the second writer took over.
        turns: How often the first was asked.
        ended_by: The call that it could not do without, as that failed or was refused.
        usage: What writing it took.
        tokens: Tokens that each role has written.
        models: Names of the models that wrote, in order.
    """

    sample: int
    text: str = ""
    is_over: bool = False
    takeovers: int = 0
    turns: int = 0
    ended_by: BackendError | BudgetExceeded | None = None
    usage: Usage = field(default_factory=Usage)
    tokens: dict[str, int] = field(default_factory=dict)
    models: dict[str, None] = field(default_factory=dict)

    def add(self, role: str, chunk: Completion) -> None:
        """Append what a role has written; a chunk that ended by itself ends the text."""
        self.text += chunk.text
        self.is_over = chunk.finish_reason == "stop"
        self.tokens[role] = self.tokens.get(role, 0) + chunk.usage.completion_tokens
        self.models[chunk.model] = None
        self.usage = Usage(
            prompt_tokens=self.usage.prompt_tokens + chunk.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens + chunk.usage.completion_tokens,
        )

    def may_vote(self, problem: Problem) -> bool:
        """Whether its answer counts: it was not lost, and a budget that cut it off left one."""
        if isinstance(self.ended_by, BackendError):
            return False
        return self.ended_by is None or self.answer(problem) is not None

    @contextmanager
    def needing(self) -> Iterator[None]:
        """Note the error of a call that the text cannot do without."""
        try:
            yield
        except (BackendError, BudgetExceeded) as error:
            self.ended_by = error
            raise

    def answer(self, problem: Problem) -> str | None:
        """Return the answer that is found so far."""
        return problem.answer_format.extract(self.completion.visible, complete=self.is_over)

    @property
    def completion(self) -> Completion:
        """The text as one answer; its usage is what writing it took."""
        return Completion(
            text=self.text,
            finish_reason="stop" if self.is_over else "length",
            usage=self.usage,
            model="+".join(self.models) or "none",
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the draft wrote in a turn, and what the target thinks of it.

    Attributes:
        written: None where the draft's call failed.
        is_read: Whether it is to be decided on; an empty one, or one of a text that has had all
            its takeovers, is not.
        score: How unusual the target finds it, -mean log q; None where it cannot tell.
    """

    written: Completion | None
    is_read: bool
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Writers:
    """The draft and the target of a run, at work on texts of one problem.

    Attributes:
        run: Makes the calls.
        problem: What the texts answer.
        chunk: Most tokens that the draft writes in a turn.
        continuation: Most tokens that the target writes when it takes over.
        takeover: Whether the target goes on after the draft's chunk, or writes in its place. A
            chunk with which the draft has ended its text is always replaced.
        most_takeovers: Most takeovers of a text; then nothing of it is read.
    """

    run: Run
    problem: Problem
    chunk: int
    continuation: int
    takeover: Literal["append", "replace"]
    most_takeovers: int | None

    async def draft(self, text: JointText) -> Chunk:
        """Let the draft go on with a text, and the target score what it wrote. Two calls.

        A draft that fails leaves the turn to the target, and so does a score that cannot be had.

        Raises:
            BackendError: If the draft failed and the target may take over no more.
            BudgetExceeded: If the budget does not allow a call.
        """
        text.turns += 1
        is_capped = text.takeovers == self.most_takeovers
        prompt = self.run.prompt("draft", problem=self.problem)
        with text.needing():
            try:
                written = await self.run.extend(prompt, text.text, max_tokens=self.chunk)
            except BackendError:
                if is_capped:
                    raise
                return Chunk(None, is_read=True)
            if is_capped or not written.text:
                return Chunk(written, is_read=False)
            return Chunk(written, is_read=True, score=await self._score(text, written))

    async def _score(self, text: JointText, written: Completion) -> float | None:
        prompt, start = self.run.prompt("target", problem=self.problem), len(text.text)
        try:
            entries = await self.run.score(prompt, text.text + written.text, start=start)
        except BackendError:
            return None
        return -math.fsum(entry.logprob for entry in entries) / len(entries)

    async def go_on(self, text: JointText, chunk: Chunk, *, takes_over: bool) -> None:
        """Keep the draft's chunk, or let the target take over. At most one call.

        Raises:
            BackendError: If the target failed: the text is lost, rather than let pass.
            BudgetExceeded: If the budget does not allow the call.
        """
        written = chunk.written
        is_open = written is not None and written.finish_reason == "length"
        is_kept = not takes_over or (self.takeover == "append" and is_open)
        if written is not None and is_kept:
            text.add("draft", written)
        if takes_over:
            text.takeovers += 1
            prompt = self.run.prompt("target", problem=self.problem)
            with text.needing():
                most = self.continuation
                text.add("target", await self.run.extend(prompt, text.text, max_tokens=most))

    def candidates(self, texts: Sequence[JointText]) -> list[Candidate]:
        """Return the texts that may vote, and note what each model has written. No call.

        Raises:
            BackendError: If all texts were lost, the first one's.
        """
        self.run.note(
            draft_tokens=sum(text.tokens.get("draft", 0) for text in texts),
            target_tokens=sum(text.tokens.get("target", 0) for text in texts),
            turns=sum(text.turns for text in texts) / len(texts),
        )
        errors = [text.ended_by for text in texts if isinstance(text.ended_by, BackendError)]
        if len(errors) == len(texts):
            raise errors[0]
        voters = [text for text in texts if text.may_vote(self.problem)]
        return [self.run.propose(text.completion, ticket=text.sample) for text in voters]
