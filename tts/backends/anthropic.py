"""`backend: anthropic`: Claude models through Anthropic's messages API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tts.backends.base import Capabilities, Provider
from tts.backends.formats import Answer, Call, Ear, check_said, refuse_unable
from tts.backends.functions import CallParts, Functions
from tts.backends.remote import RemoteBackend, RemoteSettings
from tts.backends.wire import BaseURL, Transport
from tts.errors import ConfigError
from tts.messages import Request, ToolCall, Usage

__all__ = ["Anthropic"]

_VERSION = "2023-06-01"
_CUT = {"max_tokens", "model_context_window_exceeded"}


class AnthropicSpelling:
    """Writes requests and reads answers as the messages API has them.

    Args:
        model: Name of the model.
        capabilities: What it can do.
    """

    def __init__(self, model: str, capabilities: Capabilities) -> None:
        self._model, self._can = model, capabilities

    def call(self, request: Request, *, stream: bool) -> Call:
        """Spell a request; see `Format`. A seed is not sent: the API knows none.

        Raises:
            ConfigError: If it asks for what the model cannot do.
        """
        refuse_unable(self._model, request, self._can)
        if request.temperature > 1.0:
            raise ConfigError(f"{self._model}: temperature is at most 1, not {request.temperature}")
        turns = [each for each in request.messages if each.role != "system"]
        payload: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": each.role, "content": each.content} for each in turns],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        system = "\n\n".join(each.content for each in request.messages if each.role == "system")
        if system:
            payload["system"] = system
        if request.top_p != 1.0:
            payload["top_p"] = request.top_p
        if request.top_k is not None:
            payload["top_k"] = request.top_k
        if request.stop:
            payload["stop_sequences"] = list(request.stop)
        if request.json_schema is not None:
            schema = json.loads(request.json_schema)
            payload["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if request.tools:
            payload["tools"] = [_tool(each) for each in Functions(request.tools).offered]
        if stream:
            payload["stream"] = True
        return Call("/messages", payload)

    def usage(self, value: Any) -> Usage | None:
        """Read what an answer says was used."""
        return _usage(value.get("usage"))

    def read(self, value: Any, request: Request) -> Answer:
        """Read an answer; see `Format`."""
        blocks, reason = value["content"], value["stop_reason"]
        text = "".join(each["text"] for each in blocks if each["type"] == "text")
        reasoning = "".join(each["thinking"] for each in blocks if each["type"] == "thinking")
        calls = CallParts(Functions(request.tools))
        for place, each in enumerate(blocks):
            if each["type"] == "tool_use" and request.tools:
                calls.add(place, each["name"], json.dumps(each["input"], ensure_ascii=False))
        return self.answer(text, reason, _usage(value.get("usage")), reasoning, calls.calls)

    def answer(
        self,
        text: str,
        reason: str | None,
        usage: Usage | None,
        reasoning: str,
        calls: tuple[ToolCall, ...],
    ) -> Answer:
        """Put the parts of an answer together.

        Raises:
            InvalidResponse: If there is neither a text nor a call.
        """
        if not calls:
            refusal = "refusal" if reason == "refusal" else ""
            check_said(text, is_cut=reason in _CUT, refusal=refusal)
        return Answer(
            text=text,
            finish="length" if reason in _CUT or reason == "refusal" else "stop",
            usage=usage,
            reasoning=reasoning,
            tool_calls=calls,
        )

    def teller(self, request: Request, ear: Ear) -> AnthropicTeller:
        """Return what reads a stream; see `Format`."""
        return AnthropicTeller(self, request, ear)


class AnthropicTeller:
    """Puts a streamed message together."""

    def __init__(self, spelling: AnthropicSpelling, request: Request, ear: Ear) -> None:
        self._spelling, self._request, self._ear = spelling, request, ear
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls = CallParts(Functions(request.tools))
        self._usage: dict[str, Any] = {}
        self._reason: str | None = None

    @property
    def is_whole(self) -> bool:
        """True once the model said why it stopped."""
        return self._reason is not None

    def read(self, event: Any) -> bool:
        """Take in an event; kinds that are not known are passed over, as the API asks."""
        match event["type"]:
            case "message_start":
                self._usage |= event["message"].get("usage") or {}
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                self._call(event["index"], name=event["content_block"]["name"])
            case "content_block_delta" if event["delta"]["type"] == "input_json_delta":
                self._call(event["index"], arguments=event["delta"]["partial_json"])
            case "content_block_delta":
                self._take(event["delta"])
            case "content_block_stop":
                self._calls.end(event["index"])
                self._ear.hear_calls(self._calls.whole())
            case "message_delta":
                self._reason = event["delta"].get("stop_reason") or self._reason
                self._usage |= event.get("usage") or {}
            case "message_stop":
                return True
        return False

    def _take(self, delta: Mapping[str, Any]) -> None:
        if delta["type"] == "text_delta":
            self._text.append(delta["text"])
            self._ear.hear(delta["text"])
        elif delta["type"] == "thinking_delta":
            self._thinking.append(delta["thinking"])
            self._ear.hear(delta["thinking"], aloud=False)

    def _call(self, place: int, *, name: str = "", arguments: str = "") -> None:
        if self._request.tools:
            self._calls.add(place, name, arguments)
            self._ear.hear(name + arguments, aloud=False)
            self._ear.hear_calls(self._calls.whole())

    def answer(self) -> Answer:
        """Return what was told."""
        return self._spelling.answer(
            "".join(self._text),
            self._reason,
            _usage(self._usage),
            "".join(self._thinking),
            self._calls.calls,
        )


def _tool(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": definition["name"],
        "description": definition.get("description") or "",
        "input_schema": definition.get("parameters") or {"type": "object", "properties": {}},
    }


def _usage(usage: Any) -> Usage | None:
    """Read the usage; what was read from or written to the prefix cache is part of the prompt."""
    if not isinstance(usage, Mapping) or not {"input_tokens", "output_tokens"} <= set(usage):
        return None
    cached = usage.get("cache_read_input_tokens") or 0
    return Usage(
        prompt_tokens=usage["input_tokens"]
        + cached
        + (usage.get("cache_creation_input_tokens") or 0),
        completion_tokens=usage["output_tokens"],
        cached_tokens=cached,
    )


class Anthropic(RemoteSettings, Provider, name="anthropic"):
    """Claude models. They take no seed and give no log-probabilities."""

    official: ClassVar[tuple[str, str]] = ("api.anthropic.com", "ANTHROPIC_API_KEY")

    model: Annotated[str, Field(min_length=1)]
    """Name of the model."""
    base_url: BaseURL = "https://api.anthropic.com/v1"
    """Where the API begins, version included."""
    capabilities: dict[str, bool | int] = Field(default_factory=dict)
    """Abilities that differ: older models continue the assistant's words (`prefill: true`)."""

    def known_abilities(self) -> Capabilities:
        """Return what all its models can do, and what the settings say instead."""
        return self.abilities(stream=True, json_schema=True, tools=True)

    @asynccontextmanager
    async def open(self, transport: Transport | None = None) -> AsyncIterator[RemoteBackend]:
        """Yield the backend.

        Args:
            transport: Carries the requests instead of the library's own.

        Raises:
            ConfigError: If the key is missing or a setting is wrong.
        """
        can = self.known_abilities()
        headers = {"anthropic-version": _VERSION}
        async with self.open_wire(transport, "x-api-key", **headers) as wire:
            settings = self.made_with(wire, self.model, can)
            yield RemoteBackend(spelling=AnthropicSpelling(self.model, can), **settings)
