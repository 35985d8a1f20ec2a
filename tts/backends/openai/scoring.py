"""Scoring a given text through the log-probabilities of the prompt, as vLLM gives them.

The text stands at the prompt's end. The server returns an entry for each token of the prompt; those
at its end that spell the text are its scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tts.backends.formats import Answer
from tts.errors import InvalidResponse
from tts.messages import Request, TokenLogprob, Usage

__all__ = ["read_scores", "score_fields"]

_PART = "\ufffd"
"""In the spelling of a token that holds part of a character only."""


def score_fields(request: Request, *, is_chat: bool) -> dict[str, Any]:
    """Return the fields that ask for scores; the server insists on making one token."""
    asked = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": request.top_logprobs}
    given = request.given or ""
    if not is_chat:
        prompt = "\n\n".join(message.content for message in request.messages)
        return {"prompt": prompt + given, **asked}
    messages = [{"role": each.role, "content": each.content} for each in request.messages]
    if messages[-1]["role"] == "assistant":
        messages[-1]["content"] += given
    else:
        messages.append({"role": "assistant", "content": given})
    flags = {"add_generation_prompt": False, "continue_final_message": True}
    return {"messages": messages, **asked, **flags}


def read_scores(value: Any, request: Request) -> Answer:
    """Read the scores of the given text.

    The token that the server insisted on making counts as one more of the prompt, for scoring
    makes no completion.

    Raises:
        InvalidResponse: If the prompt's last tokens do not spell the text.
    """
    entries = value.get("prompt_logprobs") or value["choices"][0]["prompt_logprobs"]
    given = request.given or ""
    scored: list[TokenLogprob] = []
    missing, is_within = given, False  # whether tokens that are parts of characters wait
    for entry in reversed(entries):
        if not missing:
            break
        one = _scored(entry, request.top_logprobs)
        end = _end_of(one.token, missing, is_within)
        if end is None and _PART in one.token:
            is_within = True
        elif end is None and is_within and _is_split(missing):
            missing = ""
            break
        elif end is None:
            # The text's first token may hold what stands before it, such as a space.
            if not (one.token.endswith(missing) and not one.token.removesuffix(missing).strip()):
                break
            one, missing = one.model_copy(update={"token": missing}), ""
        else:
            missing, is_within = missing[: end - len(one.token)], False
        scored.append(one)
    if missing and not (is_within and _is_split(missing)):
        raise InvalidResponse("the prompt's last tokens do not spell the given text")
    usage = value["usage"]
    prompt = usage["prompt_tokens"] + usage.get("completion_tokens", 0)
    return Answer(text=given, usage=Usage(prompt_tokens=prompt), logprobs=tuple(reversed(scored)))


def _end_of(token: str, text: str, is_within: bool) -> int | None:
    """Return where a token ends in a text: at its end, or before characters that are split."""
    if not is_within:
        return len(text) if text.endswith(token) else None
    found = text.rfind(token, 0, len(text) - 1)
    end = found + len(token)
    return end if found >= 0 and _is_split(text[end:]) else None


def _is_split(text: str) -> bool:
    """Return whether tokens may be parts of all its characters: ASCII has one byte each."""
    return all(not character.isascii() for character in text)


def _scored(entry: Any, tops: int) -> TokenLogprob:
    """Read one token: the server names the token itself first, then the most probable ones."""
    if not isinstance(entry, Mapping):
        raise InvalidResponse("a token of the given text has no log-probability")
    options = [(one["decoded_token"], min(one["logprob"], 0.0)) for one in entry.values()]
    token, logprob = options[0]
    best = sorted(options, key=lambda pair: -pair[1])[:tops]
    return TokenLogprob(token=token, logprob=logprob, top=tuple(best))
