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
    data = given.encode("utf-8", "surrogatepass")
    scored: list[TokenLogprob] = []
    ends, count = {len(data)}, 0  # where what is left may end; how many tokens spell all of it
    for entry in reversed(entries if given else ()):
        if 0 in ends and entry is None:  # the prompt's first token has no score
            break
        one = _scored(entry, request.top_logprobs)
        if 0 in ends and not one.token:
            break
        whole = next(
            (
                data[:end].decode("utf-8", "surrogatepass")
                for end in ends
                if _holds(one.token, data[:end])
            ),
            None,
        )
        before, ends = ends, {begin for end in ends for begin in _begins(one.token, data, end)}
        if whole is not None and 0 not in ends and 0 not in before:
            one, ends = one.model_copy(update={"token": whole}), {0}
        if not ends:
            break
        scored.append(one)
        count = len(scored) if 0 in ends else count
    if given and not count:
        raise InvalidResponse("the prompt's last tokens do not spell the given text")
    scored = scored[:count]
    usage = value["usage"]
    prompt = usage["prompt_tokens"] + usage.get("completion_tokens", 0)
    return Answer(text=given, usage=Usage(prompt_tokens=prompt), logprobs=tuple(reversed(scored)))


def _holds(token: str, rest: bytes) -> bool:
    """Return whether a token is all of the rest, behind white space: a first token may be."""
    spelled = token.encode("utf-8", "surrogatepass")
    return bool(rest) and spelled.endswith(rest) and not spelled.removesuffix(rest).strip()


def _begins(token: str, data: bytes, end: int) -> set[int]:
    """Return where a token that ends there may begin.

    A part of a character is spelled by a sign that stands for one to three of its bytes, not all.
    """
    ends = {end}
    for sign in reversed(token):
        spelled = sign.encode("utf-8", "surrogatepass")
        whole = {each - len(spelled) for each in ends if data[:each].endswith(spelled)}
        parts = {each for one in ends for each in _part_begins(data, one)}
        ends = whole | parts if sign == _PART else whole
    return ends


def _part_begins(data: bytes, end: int) -> set[int]:
    """Return where a part of a character that ends there may begin."""
    first = end - 1
    while first > 0 and data[first] & 0xC0 == 0x80:
        first -= 1
    is_end = end == len(data) or data[end] & 0xC0 != 0x80
    if end <= 0 or data[first] < 0xC0:
        return set()
    return set(range(first + is_end, end))


def _scored(entry: Any, tops: int) -> TokenLogprob:
    """Read one token: the server names the token itself first, then the most probable ones."""
    if not isinstance(entry, Mapping):
        raise InvalidResponse("a token of the given text has no log-probability")
    options = [(one["decoded_token"], min(one["logprob"], 0.0)) for one in entry.values()]
    token, logprob = options[0]
    best = sorted(options, key=lambda pair: -pair[1])[:tops]
    return TokenLogprob(token=token, logprob=logprob, top=tuple(best))
