"""The parts of an answer in OpenAI's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from tts.messages import TokenLogprob, ToolCall, Usage

__all__ = ["ToolCallParts", "read_logprobs", "read_tool_calls", "read_usage"]


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


def read_tool_calls(value: Any) -> tuple[ToolCall, ...]:
    """Read the calls of a message."""
    parts = ToolCallParts()
    for index, each in enumerate(value or ()):
        parts.take({**each, "index": index})
    return parts.calls


class ToolCallParts:
    """Calls that come in parts: each names its call by `index`, and adds to its arguments."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[int, list[str]] = {}

    def take(self, part: Mapping[str, Any]) -> str:
        """Take in a part; return what it adds."""
        function = part.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        if not isinstance(arguments, str):  # some servers send the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        call = self._parts.setdefault(int(part.get("index") or 0), ["", ""])
        call[0] += name
        call[1] += arguments
        return name + arguments

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls in their order."""
        return tuple(
            ToolCall(name=name, arguments=arguments)
            for _, (name, arguments) in sorted(self._parts.items())
        )
