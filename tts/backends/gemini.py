"""`backend: gemini`: Google's models through generateContent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from tts.backends.base import Capabilities, Provider
from tts.backends.formats import Answer, Call, Ear, check_said, refuse_unable
from tts.backends.functions import CallParts, Functions
from tts.backends.remote import RemoteBackend, RemoteSettings
from tts.backends.wire import BaseURL, Transport
from tts.messages import Message, Request, TokenLogprob, Usage

__all__ = ["Gemini"]

_ROLES = {"user": "user", "assistant": "model"}


class GeminiSpelling:
    """Writes requests and reads answers as generateContent has them.

    Args:
        model: Name of the model.
        capabilities: What it can do.
    """

    def __init__(self, model: str, capabilities: Capabilities) -> None:
        self._model, self._can = model, capabilities
        self._path = f"/models/{quote(model.removeprefix('models/'), safe='')}"

    def call(self, request: Request, *, stream: bool) -> Call:
        """Spell a request; see `Format`.

        Raises:
            ConfigError: If it asks for what the model cannot do.
        """
        refuse_unable(self._model, request, self._can)
        payload: dict[str, Any] = {
            "contents": [_turn(each) for each in request.messages if each.role != "system"],
            "generationConfig": _config(request),
        }
        system = [{"text": each.content} for each in request.messages if each.role == "system"]
        if system:
            payload["systemInstruction"] = {"parts": system}
        if request.tools:
            offered = [_function(each) for each in Functions(request.tools).offered]
            payload["tools"] = [{"functionDeclarations": offered}]
        verb = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
        return Call(self._path + verb, payload)

    def usage(self, value: Any) -> Usage | None:
        """Read what an answer says was used."""
        return _usage(value.get("usageMetadata"))

    def read(self, value: Any, request: Request) -> Answer:
        """Read an answer; see `Format`."""
        if not value.get("candidates"):  # the prompt itself was refused
            check_said("", is_cut=False, refusal=_blocked(value) or "no candidates")
        candidate = value["candidates"][0]
        reason = candidate.get("finishReason", "STOP")
        parts = (candidate.get("content") or {}).get("parts") or ()
        text = "".join(each["text"] for each in parts if "text" in each and not each.get("thought"))
        thoughts = "".join(each["text"] for each in parts if "text" in each and each.get("thought"))
        calls = CallParts(Functions(request.tools))
        for part in parts if request.tools else ():
            _take_call(part, calls)
        if not calls.calls:
            refusal = "" if reason in {"STOP", "MAX_TOKENS"} else reason
            check_said(text, is_cut=reason == "MAX_TOKENS", refusal=refusal)
        wanted = request.logprobs or request.top_logprobs
        return Answer(
            text=text,
            finish="stop" if reason == "STOP" else "length",
            usage=_usage(value.get("usageMetadata")),
            logprobs=_logprobs(candidate.get("logprobsResult") or {}) if wanted else None,
            reasoning=thoughts,
            tool_calls=calls.calls,
        )

    def teller(self, request: Request, ear: Ear) -> GeminiTeller:
        """Return what reads a stream; see `Format`."""
        return GeminiTeller(self, request, ear)


class GeminiTeller:
    """Puts a streamed answer together: each event is an answer with more of the text."""

    def __init__(self, spelling: GeminiSpelling, request: Request, ear: Ear) -> None:
        self._spelling, self._request, self._ear = spelling, request, ear
        self._parts: list[Mapping[str, Any]] = []
        self._last: dict[str, Any] = {}
        self._calls = CallParts(Functions(request.tools))
        self._usage: Any = None
        self._scores: dict[str, list[Any]] = {"chosenCandidates": [], "topCandidates": []}

    @property
    def is_whole(self) -> bool:
        """True once the model said why it stopped, or the prompt was refused."""
        return "finishReason" in self._last or bool(self._last.get("blocked"))

    def read(self, event: Any) -> bool:
        """Take in an event."""
        self._usage = event.get("usageMetadata") or self._usage
        blocked = _blocked(event)
        if blocked:
            self._last["blocked"] = blocked
        for candidate in event.get("candidates") or ():
            if candidate.get("index", 0) == 0:
                self._take(candidate)
        return False

    def _take(self, candidate: Mapping[str, Any]) -> None:
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._parts.append(part)
            self._ear.hear(part.get("text", ""), aloud=not part.get("thought"))
            if self._request.tools:
                self._ear.hear(_take_call(part, self._calls), aloud=False)
        self._ear.hear_calls(self._calls.whole())
        for key, scores in self._scores.items():
            scores.extend((candidate.get("logprobsResult") or {}).get(key) or ())
        if candidate.get("finishReason"):
            self._last["finishReason"] = candidate["finishReason"]

    def answer(self) -> Answer:
        """Return what was told, as if it had come whole."""
        if "blocked" in self._last:
            value: dict[str, Any] = {"promptFeedback": {"blockReason": self._last["blocked"]}}
        else:
            content = {"parts": self._parts}
            candidate = {**self._last, "content": content, "logprobsResult": self._scores}
            value = {"candidates": [candidate], "usageMetadata": self._usage}
        return self._spelling.read(value, self._request)


def _function(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function's declaration; the API takes no schema without properties."""
    told = {"name": definition["name"], "description": definition.get("description") or ""}
    schema = definition.get("parameters") or {}
    return {**told, "parametersJsonSchema": schema} if schema.get("properties") else told


def _take_call(part: Mapping[str, Any], calls: CallParts) -> str:
    """Put a part's function call with the others; return what it adds. Calls come whole."""
    call = part.get("functionCall")
    if call is None:
        return ""
    place, arguments = len(calls.calls), json.dumps(call.get("args") or {}, ensure_ascii=False)
    calls.add(place, call["name"], arguments)
    return f"{call['name']}{arguments}"


def _turn(message: Message) -> dict[str, Any]:
    return {"role": _ROLES[message.role], "parts": [{"text": message.content}]}


def _config(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "temperature": request.temperature,
        "maxOutputTokens": request.max_tokens,
    }
    if request.top_p != 1.0:
        fields["topP"] = request.top_p
    if request.top_k is not None:
        fields["topK"] = request.top_k
    if request.stop:
        fields["stopSequences"] = list(request.stop)
    if request.seed is not None:
        fields["seed"] = request.seed
    if request.logprobs or request.top_logprobs:
        fields["responseLogprobs"] = True
        if request.top_logprobs:
            fields["logprobs"] = request.top_logprobs
    if request.json_schema is not None:
        fields["responseMimeType"] = "application/json"
        fields["responseJsonSchema"] = json.loads(request.json_schema)
    return fields


def _blocked(value: Mapping[str, Any]) -> str:
    return str((value.get("promptFeedback") or {}).get("blockReason") or "")


def _usage(usage: Any) -> Usage | None:
    """Read the usage; thoughts are completion tokens."""
    if not isinstance(usage, Mapping) or "promptTokenCount" not in usage:
        return None
    return Usage(
        prompt_tokens=usage["promptTokenCount"],
        completion_tokens=usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0),
        cached_tokens=usage.get("cachedContentTokenCount", 0),
    )


def _logprobs(result: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    chosen = result.get("chosenCandidates") or []
    tops = result.get("topCandidates") or [{}] * len(chosen)
    return tuple(
        TokenLogprob(
            token=each["token"],
            logprob=min(each["logProbability"], 0.0),
            top=tuple((one["token"], one["logProbability"]) for one in top.get("candidates") or ()),
        )
        for each, top in zip(chosen, tops, strict=True)
    )


class Gemini(RemoteSettings, Provider, name="gemini"):
    """Google's Gemini models. A seed is sent and makes repeated text likely, not certain."""

    official: ClassVar[tuple[str, str]] = ("generativelanguage.googleapis.com", "GEMINI_API_KEY")

    model: Annotated[str, Field(min_length=1)]
    """Name of the model."""
    base_url: BaseURL = "https://generativelanguage.googleapis.com/v1beta"
    """Where the API begins, version included."""
    capabilities: dict[str, bool | int] = Field(default_factory=dict)
    """Abilities that differ: some models give log-probabilities (`logprobs`, `top_logprobs`)."""

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
        async with self.open_wire(transport, "x-goog-api-key") as wire:
            settings = self.made_with(wire, self.model, can)
            yield RemoteBackend(spelling=GeminiSpelling(self.model, can), **settings)
