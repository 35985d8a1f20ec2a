"""The parts of an answer in OpenAI's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from tts.backends.functions import CallParts, Functions
from tts.messages import TokenLogprob, ToolCall, Usage

__all__ = ["read_logprobs", "read_tool_calls", "read_usage", "take_tool_call"]


def read_usage(usage: Any) -> Usage | None:
    """Read an answer's usage; None where there is none that can be believed."""
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (_is_count(prompt) and _is_count(completion)):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=min(cached, prompt) if _is_count(cached) else 0,
    )


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...] | None:
    """Read log-probabilities in the shape of chat or of completions."""
    if value is None:
        return None
    content = value.get("content")
    if content is not None:
        return tuple(
            TokenLogprob(
                token=each["token"],
                logprob=min(each["logprob"], 0.0),
                top=_best_first(
                    {one["token"]: one["logprob"] for one in each.get("top_logprobs") or ()}
                ),
            )
            for each in content
        )
    if "tokens" not in value:
        return None
    tops = value.get("top_logprobs") or [None] * len(value["tokens"])
    return tuple(
        TokenLogprob(token=token, logprob=min(logprob, 0.0), top=_best_first(top or {}))
        for token, logprob, top in zip(value["tokens"], value["token_logprobs"], tops, strict=True)
    )


def _best_first(top: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(top.items(), key=lambda pair: -pair[1]))


def read_tool_calls(value: Any, functions: Functions) -> tuple[ToolCall, ...]:
    """Read the calls of a message."""
    parts = CallParts(functions)
    for place, each in enumerate(value or ()):
        take_tool_call({**each, "index": place}, parts)
    return parts.calls


def take_tool_call(part: Mapping[str, Any], calls: CallParts) -> str:
    """Put a part of a call, which it names by `index`, with the others; return what it adds."""
    function = part.get("function") or {}
    name, arguments = function.get("name") or "", function.get("arguments") or ""
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = json.dumps(arguments, ensure_ascii=False)
    calls.add(int(part.get("index") or 0), name, arguments)
    return name + arguments
