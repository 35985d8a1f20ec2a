"""What earlier completions may bring into a later prompt: visible, bounded, marked, shuffled.

A *draft* is a completion's visible text as another prompt may show it. Raw reasoning is left out,
a text that was cut off says so, and no draft brings more than `bound` tokens (kappa of the papers).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial

from tts.errors import BackendError, BudgetExceeded
from tts.messages import Completion
from tts.problem import Candidate, Problem
from tts.run import Run

__all__ = ["as_draft", "as_drafts", "clip", "digest", "quoted", "reconcile"]

_CUT = "[...] "
_UNFINISHED = "\n[unfinished]"
# Lines that look like the labels of our own templates: a draft must not pass for two.
_LABEL = re.compile(
    r"^(?=[\s\u200b-\u200f\u2060\ufeff*_#>`]{0,8}(?:(?:draft|attempt|solution|path|candidate|plan)\s{0,4}#?\d+\b"
    r"|(?:notes|outline|known)\s{0,4}[*_]{0,2}\s{0,4}[:\uff1a]))",
    re.IGNORECASE,
)


def quoted(text: str) -> str:
    r"""Return a text whose lines that imitate a template's label are quoted by "> ".

    Whatever ends a line is made a line feed, lest a label hide behind another end.

    >>> quoted("Solution 2:\r### Draft 3")
    '> Solution 2:\n> ### Draft 3'
    """
    return "\n".join(_LABEL.sub("> ", line) for line in text.splitlines())


def clip(text: str, bound: int, count: Callable[[str], int]) -> str:
    """Return the text, or as much of its end as a bound allows: conclusions stand last.

    Args:
        text: What is clipped; a cut is marked by "[...]" and made between words where it can be.
        bound: Most tokens of what is returned, the mark included; at least 1.
        count: Counts a text's tokens.

    Returns:
        At most `bound` tokens by that count; empty if not one character fits behind the mark.

    >>> clip("3 + 4 = 7, so the answer is 7", 4, lambda part: len(part.split()))
    '[...] answer is 7'
    """
    if count(text) <= bound:
        return text
    low, start = 0, len(text)
    while start - low > 1:
        middle = (low + start) // 2
        if count(_CUT + text[middle:]) <= bound:
            start = middle
        else:
            low = middle
    if start < len(text) and not text[start - 1].isspace() and not text[start].isspace():
        start = _next_word(text, start) or start
    while start < len(text) and count(_CUT + text[start:]) > bound:  # fewer words, more tokens
        start = _next_word(text, start) or len(text)
    kept = text[start:].strip()
    return _CUT + kept if kept else ""


def _next_word(text: str, start: int) -> int | None:
    found = re.compile(r"\s+(?=\S)").search(text, start)
    return found.end() if found else None


def as_draft(run: Run, candidate: Candidate, bound: int, *, role: str = "solve") -> str:
    """Return what a candidate may bring into another prompt. No call.

    The bound is in tokens as the model that wrote the draft counts them. Where only an upper
    bound of a text's tokens is known (most HTTP backends know their bytes), it is scaled by what
    the provider said the whole completion had: exact for a tokenizer of constant density, else an
    approximation.

    Args:
        run: Counts tokens.
        candidate: The attempt.
        bound: Most tokens, marks included.
        role: The role that wrote it.

    Returns:
        The visible text, at its end "[unfinished]" if it was cut off, lines that imitate a label
        of a template ("Draft 2:") quoted by "> "; empty if nothing is visible.
    """
    completion = candidate.completion
    text = quoted(completion.visible)
    if text and completion.finish_reason == "length":
        text += _UNFINISHED
    return clip(text, bound, _counter(run, completion, role))


def _counter(run: Run, completion: Completion, role: str) -> Callable[[str], int]:
    whole = run.count_tokens(completion.reasoning + completion.text, role)
    told = completion.usage
    if told.estimated or not 0 < told.completion_tokens < whole:
        return partial(run.count_tokens, role=role)
    rate = told.completion_tokens / whole
    return lambda part: math.ceil(rate * run.count_tokens(part, role))


def as_drafts(
    run: Run, candidates: Sequence[Candidate], bound: int, *, role: str = "solve"
) -> list[str]:
    """Return candidates as drafts of at most `bound` tokens each, shuffled, without empty ones.

    They are shuffled by the run's generator, so that no place in a prompt favours a draft.
    """
    drafts = [as_draft(run, candidate, bound, role=role) for candidate in candidates]
    written = [draft for draft in drafts if draft]
    return run.rng.sample(written, len(written))


async def reconcile(run: Run, problem: Problem, attempts: Sequence[str]) -> Candidate | None:
    """Let the role `merge` make one solution of several attempts. One call.

    Args:
        run: Makes the call.
        problem: What they answer.
        attempts: Drafts, in the order in which they are shown.

    Returns:
        None if there are fewer than two, the call failed or was refused by the budget, or its
        answer cannot be read; whoever asked falls back to the vote.
    """
    if len(attempts) < 2:
        return None
    try:
        merged = await run.candidate(run.prompt("merge", problem=problem, attempts=attempts))
    except (BackendError, BudgetExceeded):  # both are counted by the run
        return None
    return None if merged.answer is None else merged


async def digest(
    run: Run, problem: Problem, drafts: Sequence[str], bound: int, *, role: str = "distil"
) -> str:
    """Let a role note what holds in drafts. One call; at most `bound` tokens.

    Where the call fails or says nothing, the drafts themselves stand in, each clipped to its share
    of the bound; silence is counted as a parse failure.

    Raises:
        BudgetExceeded: If the budget does not allow the call.
    """
    prompt = run.prompt(role, problem=problem, drafts=drafts, bound=bound)
    try:
        completion = await run.generate(prompt, temperature=0.0)
    except BackendError:
        return _together(run, drafts, bound, role)
    notes = clip(quoted(completion.visible), bound, _counter(run, completion, role))
    if not notes:
        run.count_parse_failure()
    return notes or _together(run, drafts, bound, role)


def _together(run: Run, drafts: Sequence[str], bound: int, role: str) -> str:
    share = max(1, bound // max(1, len(drafts)))
    count = partial(run.count_tokens, role=role)
    return "\n\n".join(part for draft in drafts if (part := clip(draft, share, count)))
