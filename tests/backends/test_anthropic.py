from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.backends.canned import Canned, events
from tts.backends.anthropic import Anthropic
from tts.errors import BackendUnavailable, ConfigError, ContextLengthExceeded, InvalidResponse

pytestmark = pytest.mark.anyio

USAGE = {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")


def provider(**settings: Any) -> Anthropic:
    return Anthropic.model_validate({"model": "claude-haiku-4-5"} | settings)


def said(text: str = "7", reason: str = "end_turn", *blocks: Any) -> dict[str, Any]:
    content = [*blocks, {"type": "text", "text": text}] if text else [*blocks]
    return {"content": content, "stop_reason": reason, "usage": USAGE | {"output_tokens": 2}}


async def test_a_request_is_spelled_as_a_message() -> None:
    server = Canned(said())
    await server.ask(
        provider(), seed=3, top_p=0.9, top_k=5, stop=("\n",), json_schema={"type": "x"}
    )
    assert server.paths == ["/v1/messages"]
    assert server.bodies[0] == {
        "model": "claude-haiku-4-5",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "What?"}],
        "max_tokens": 64,
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["\n"],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "x"}}},
    }
    assert server.headers[0]["x-api-key"] == "sk-ant-1"
    assert server.headers[0]["anthropic-version"] == "2023-06-01"


async def test_cached_tokens_are_part_of_the_prompt() -> None:
    usage = (await Canned(said()).ask(provider())).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (12, 2, 4)


async def test_thinking_stands_apart() -> None:
    thought = {"type": "thinking", "thinking": "hm"}
    completion = await Canned(said("7", "end_turn", thought)).ask(provider())
    assert (completion.text, completion.reasoning) == ("7", "hm")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length")],
)
async def test_stop_reasons(reason: str, finish: str) -> None:
    assert (await Canned(said("7", reason)).ask(provider())).finish_reason == finish


@pytest.mark.parametrize(("reason", "says"), [("refusal", "refusal"), ("end_turn", "no text")])
async def test_an_answer_without_text_is_an_error(reason: str, says: str) -> None:
    with pytest.raises(InvalidResponse, match=says):
        await Canned(said("", reason)).ask(provider())


async def test_a_hotter_temperature_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most 1"):
        await Canned(said()).ask(provider(), temperature=1.5)


async def test_a_prompt_that_is_too_long() -> None:
    error = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
    reply = httpx.Response(400, json={"type": "error", "error": error})
    with pytest.raises(ContextLengthExceeded, match="9 tokens"):
        await Canned(reply).ask(provider())


def stream(*more: Any) -> bytes:
    return events(
        {"type": "message_start", "message": {"usage": USAGE | {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {"type": "ping"},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "It is "}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "7"}},
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x"}},
        *more,
    )


async def test_a_stream_is_put_together() -> None:
    heard: list[str] = []
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    whole = stream(end | {"usage": {"output_tokens": 6}}, {"type": "message_stop"})
    completion = await Canned(whole).ask(provider(), heard=heard)
    assert heard == ["It is ", "7"]
    assert (completion.text, completion.reasoning) == ("It is 7", "hm")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (12, 6)


async def test_an_overload_within_a_stream_may_be_tried_again() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(BackendUnavailable, match="Overloaded"):
        await Canned(stream(error)).ask(provider(), heard=[])


async def test_its_price_is_known() -> None:
    async with Canned(said()).serve(provider()) as backend:
        assert backend.price is not None
        assert backend.price.of(1_000_000, 0) == 1.0
        assert not backend.capabilities.seed
