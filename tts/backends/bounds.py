"""The most tokens that a call may use, where the tokenizer is the provider's secret too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from tts.messages import Message, Request

if TYPE_CHECKING:
    from tts.backends.base import Backend

__all__ = ["PromptBound", "most_tokens", "prompt_bytes"]

_A_MESSAGE: Final = 16
"""Tokens that a chat template may put around a message."""


class PromptBound:
    """Bounds a prompt's tokens by bytes, and learns upward from what the provider counts.

    No byte-level tokenizer makes more tokens than there are bytes: of the messages, of a JSON
    Schema, of tools, of the fields that the caller adds to each request. What nobody here sees
    is the chat template. It has an allowance; when a provider counts more than all bytes, what is
    over may stand before the prompt or around each message, and both are allowed for from then on.

    Args:
        extra: The caller's own fields.
    """

    ONCE: Final = 128
    """Tokens that a template may put before the first message: a default system prompt, a date."""
    SCHEMA: Final = 64
    """Tokens that a provider may put around a schema."""

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self._extra = len(to_json(extra, fallback=str)) if extra else 0
        self._once = self._each = 0
        self._last: tuple[tuple[Message, ...], int] = ((), 0)

    def of(self, request: Request) -> int:
        """Return the most tokens that the prompt may be; those of a given text are part of it."""
        messages = len(request.messages) + (request.given is not None)
        template = self._once
        if self._each * messages > template:
            template = self._each * messages
        allowed = self.ONCE + _A_MESSAGE * messages
        return self._bytes(request) + (allowed if allowed > template else template)

    def seen(self, request: Request) -> int:
        """Return `prompt_bytes`; of samples of one prompt they are counted once."""
        if request.given is not None:
            return prompt_bytes(request)
        if self._last[0] is not request.messages:
            self._last = (request.messages, prompt_bytes(request))
        return self._last[1]

    def learn(self, request: Request, counted: int) -> None:
        """Allow for a template that is longer than was thought."""
        over, messages = counted - self._bytes(request), len(request.messages)
        if over > self._once:
            self._once = over
        if over > self._each * messages:
            self._each = math.ceil(over / messages)

    def _bytes(self, request: Request) -> int:
        allowed = _A_MESSAGE * (len(request.messages) + 1)  # the given text, too, has its own
        size = self.seen(request) - allowed + self._extra
        if request.json_schema is not None:
            size += len(request.json_schema.encode()) + self.SCHEMA
        for tool in request.tools:
            size += len(tool.encode()) + self.SCHEMA
        return size


def prompt_bytes(request: Request) -> int:
    """Bound the prompt's tokens without a tokenizer: its UTF-8 bytes, and 16 a message.

    No byte-level tokenizer makes more; the 16 cover the chat template.
    """
    texts = [*(message.content for message in request.messages), request.given or ""]
    return sum(len(text.encode()) + _A_MESSAGE for text in texts)


def most_tokens(backend: Backend, request: Request) -> tuple[int, int]:
    """Return the most tokens that a call may use: of its prompt, and of its completion."""
    prompt = backend.prompt_tokens(request)
    most = 0 if request.given is not None else request.max_tokens
    context = backend.capabilities.context
    if context is not None:
        most = min(most, max(context - prompt, 0))
    return prompt, most * request.n
