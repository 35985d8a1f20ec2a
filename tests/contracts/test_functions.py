"""What every remote backend with the ability `tools` must do, each against a fake of its API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.backends.canned import Canned, asking, events
from tts.backends import Meter, Provider
from tts.backends.anthropic import Anthropic
from tts.backends.gemini import Gemini
from tts.backends.openai import OpenAI
from tts.errors import ConfigError, InvalidResponse
from tts.messages import ToolCall

pytestmark = pytest.mark.anyio

Calls = Sequence[tuple[str, dict[str, Any]]]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    "required": ["a"],
}
ADD = {"name": "math.add", "description": "Add.", "parameters": SCHEMA}
NOW = {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}
TWO: Calls = [("math_add", {"a": 1, "b": 'x}"{'}), ("math_add", {"a": 3})]
CUT = {"openai": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS"}
DONE = {"openai": "tool_calls", "anthropic": "tool_use", "gemini": "STOP"}


@dataclass(frozen=True)
class Api:
    """How a provider spells what it offers, and what its model calls.

    Attributes:
        offered: Finds name, description and schema of each function in a request's body.
        whole: An answer that makes these calls, and says why it ended.
        parts: The same as events of a stream, some of them for each call, then those of the end.
    """

    provider: Provider
    offered: Callable[[Any], list[tuple[str, str, Any]]]
    whole: Callable[[Calls, str], Any]
    parts: Callable[[Calls, str], tuple[list[list[Any]], list[Any]]]


def _openai_whole(calls: Calls, reason: str) -> Any:
    made = [
        {"id": f"c{at}", "function": {"name": name, "arguments": json.dumps(given)}}
        for at, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": made}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": _OPENAI_USAGE}


def _openai_parts(calls: Calls, reason: str) -> tuple[list[list[Any]], list[Any]]:
    def part(place: int, **function: str) -> Any:
        return {"choices": [{"delta": {"tool_calls": [{"index": place, "function": function}]}}]}

    made = [
        [part(at, name=name, arguments=""), *(part(at, arguments=one) for one in _pieces(given))]
        for at, (name, given) in enumerate(calls)
    ]
    return made, [
        {"choices": [{"delta": {}, "finish_reason": reason}]},
        {"choices": [], "usage": _OPENAI_USAGE},
    ]


def _anthropic_whole(calls: Calls, reason: str) -> Any:
    blocks = [
        {"type": "tool_use", "id": f"c{at}", "name": name, "input": given}
        for at, (name, given) in enumerate(calls)
    ]
    return {"content": blocks, "stop_reason": reason, "usage": _ANTHROPIC_USAGE}


def _anthropic_parts(calls: Calls, reason: str) -> tuple[list[list[Any]], list[Any]]:
    made = []
    for at, (name, given) in enumerate(calls):
        block = {"type": "tool_use", "id": f"c{at}", "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": one} for one in _pieces(given)]
        made.append(
            [
                {"type": "content_block_start", "index": at, "content_block": block},
                *({"type": "content_block_delta", "index": at, "delta": one} for one in deltas),
                {"type": "content_block_stop", "index": at},
            ]
        )
    begin: Any = {"type": "message_start", "message": {"usage": _ANTHROPIC_USAGE}}
    made[0].insert(0, begin)
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": _ANTHROPIC_USAGE}
    return made, [end, {"type": "message_stop"}]


def _gemini(calls: Calls, reason: str | None) -> Any:
    parts = [{"functionCall": {"name": name, "args": given}} for name, given in calls]
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": _GEMINI_USAGE}


def _pieces(given: dict[str, Any]) -> list[str]:
    text = json.dumps(given)
    return ["", *(text[at : at + 3] for at in range(0, len(text), 3))]


_OPENAI_USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
_ANTHROPIC_USAGE = {"input_tokens": 9, "output_tokens": 4}
_GEMINI_USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4}
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")


def _api(name: str) -> Api:
    if name == "openai":
        return Api(
            OpenAI.model_validate({"model": "gpt-4o", "server": "openai"}),
            lambda body: [
                (
                    one["function"]["name"],
                    one["function"]["description"],
                    one["function"].get("parameters"),
                )
                for one in body["tools"]
            ],
            _openai_whole,
            _openai_parts,
        )
    if name == "anthropic":
        return Api(
            Anthropic.model_validate({"model": "claude-haiku-4-5"}),
            lambda body: [
                (one["name"], one["description"], one["input_schema"]) for one in body["tools"]
            ],
            _anthropic_whole,
            _anthropic_parts,
        )
    return Api(
        Gemini.model_validate({"model": "gemini-flash"}),
        lambda body: [
            (one["name"], one["description"], one.get("parametersJsonSchema"))
            for one in body["tools"][0]["functionDeclarations"]
        ],
        _gemini,
        lambda calls, reason: ([[_gemini([call], None)] for call in calls], [_gemini([], reason)]),
    )


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in _KEYS:
        monkeypatch.setenv(key, "k-1")


@pytest.fixture(params=["openai", "anthropic", "gemini"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(name: str, _keys: None) -> Api:
    return _api(name)


def told(calls: Sequence[ToolCall]) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments or "{}")) for call in calls]


EXPECTED = [("math.add", {"a": 1, "b": 'x}"{'}), ("math.add", {"a": 3})]


async def test_functions_are_offered_under_names_that_providers_take(api: Api, name: str) -> None:
    server = Canned(api.whole(TWO, DONE[name]))
    await server.ask(api.provider, tools=(ADD, NOW))
    added, now = api.offered(server.bodies[0])
    assert added == ("math_add", "Add.", SCHEMA)
    assert now[:2] == ("now", "")


async def test_calls_come_back_under_their_own_names(api: Api, name: str) -> None:
    said = await Canned(api.whole(TWO, DONE[name])).ask(api.provider, tools=(ADD,))
    assert told(said.tool_calls) == EXPECTED
    assert (said.text, said.finish_reason) == ("", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (9, 4)


async def test_a_stream_ends_in_the_same_completion(api: Api, name: str) -> None:
    parts, end = api.parts(TWO, DONE[name])
    stream = events(*(one for part in parts for one in part), *end)
    heard: list[str] = []
    said = await Canned(stream).ask(api.provider, heard=heard, tools=(ADD,))
    assert told(said.tool_calls) == EXPECTED
    assert (said.text, said.finish_reason, "".join(heard)) == ("", "stop", "")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (9, 4)


async def test_each_call_is_heard_when_it_is_complete(api: Api, name: str) -> None:
    heard: list[ToolCall] = []
    counts: list[int] = []
    parts, end = api.parts(TWO, DONE[name])

    async def stream() -> AsyncIterator[bytes]:
        for part in parts:
            for event in part:
                yield events(event)
            counts.append(len(heard))  # asked for more, so what was sent has been read
        for event in end:
            yield events(event)

    reply = httpx.Response(200, content=stream(), headers={"content-type": "text/event-stream"})
    async with Canned(reply).serve(api.provider) as backend:
        await backend.generate(asking(tools=(ADD,)), Meter(on_call=heard.append))
    assert counts == [1, 2]
    assert told(heard) == EXPECTED


async def test_a_call_without_arguments_is_one(api: Api, name: str) -> None:
    said = await Canned(api.whole([("now", {})], DONE[name])).ask(api.provider, tools=(NOW,))
    assert told(said.tool_calls) == [("now", {})]


async def test_tokens_that_ran_out_are_told(api: Api, name: str) -> None:
    said = await Canned(api.whole(TWO, CUT[name])).ask(api.provider, tools=(ADD,))
    assert (said.finish_reason, len(said.tool_calls)) == ("length", 2)


async def test_a_call_that_nobody_offered_is_no_answer(api: Api, name: str) -> None:
    with pytest.raises(InvalidResponse):
        await Canned(api.whole(TWO, DONE[name])).ask(api.provider)


async def test_without_the_ability_nothing_is_sent(api: Api) -> None:
    unable = api.provider.model_copy(update={"capabilities": {"tools": False}})
    server = Canned(b"")
    with pytest.raises(ConfigError, match="has no 'tools'"):
        await server.ask(unable, tools=(ADD,))
    assert server.bodies == []
