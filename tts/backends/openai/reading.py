"""The parts of an answer in OpenAI's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from tts.errors import InvalidResponse
from tts.messages import TokenLogprob, Usage

__all__ = ["check_silence", "read_logprobs", "read_usage"]


def check_silence(said: str, finish: str | None, message: Mapping[str, Any]) -> None:
    """Refuse an answer that says nothing, unless the model was cut before it came to speak.

    Raises:
        InvalidResponse: Saying why, as far as the answer tells.
    """
    if said or finish == "length":
        return
    if finish == "content_filter":
        raise InvalidResponse("the provider's content filter withheld the answer")
    if message.get("tool_calls"):
        raise InvalidResponse("the model called a tool that nobody offered")
    if message:
        raise InvalidResponse("the answer's content is null")


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
