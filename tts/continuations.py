"""Texts that several calls write: one model goes on where another has stopped, and one scores them.

Both are calls like any other: budget, permits, clocks and the trace see them as `run.generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts.alignment import token_starts
from tts.errors import InvalidResponse
from tts.messages import Completion, Message, TokenLogprob
from tts.pieces import Generates
from tts.prompts import Prompt
from tts.requests import as_prompt

__all__ = ["extend", "score"]


async def extend(
    run: Generates,
    prompt: str | Prompt | Sequence[Message],
    begun: str,
    *,
    role: str = "",
    **options: Any,
) -> Completion:
    """Let a model go on with a text that it, or another, has begun. One call; ability `prefill`.

    Args:
        run: Makes the call.
        prompt: What was asked.
        begun: The text so far; with an empty one the model begins.
        role: Replaces the prompt's role.
        options: As `run.generate`. `max_tokens` counts what is added; an answer that ends by it
            has `finish_reason` `length`, and can be gone on with.

    Returns:
        What the model adds: `begun` and its text are the whole.

    Raises:
        BackendError, BudgetExceeded, ConfigError: As `run.generate`.
    """
    asked = as_prompt(prompt, role)
    if begun:
        words = Message(role="assistant", content=begun)
        asked = Prompt(asked.role, (*asked.messages, words))
    return await run.generate(asked, **options)


async def score(
    run: Generates,
    prompt: str | Prompt | Sequence[Message],
    text: str,
    *,
    start: int = 0,
    role: str = "",
    **options: Any,
) -> tuple[TokenLogprob, ...]:
    """Ask a model how probable a text is as its own answer. One call; ability `score`.

    Args:
        run: Makes the call.
        prompt: What was asked.
        text: The whole answer so far, whoever wrote it.
        start: Characters of it that are known already: their tokens are left out, and so is one
            that begins among them.
        role: Replaces the prompt's role.
        options: As `run.generate`.

    Returns:
        The log-probability of each token from there on, the model's own tokens.

    Raises:
        BackendError, BudgetExceeded, ConfigError: As `run.generate`.
        InvalidResponse: If there is none.
    """
    scored = await run.generate(as_prompt(prompt, role), given=text, **options)
    entries = scored.logprobs or ()
    starts = token_starts([entry.token for entry in entries], text)
    known = len(text[:start].encode("utf-8", "surrogatepass"))
    found = [entry for entry, begin in zip(entries, starts, strict=True) if begin >= known]
    if not found:
        raise InvalidResponse(f"{scored.model}: no log-probabilities for the text that was given")
    return tuple(found)
