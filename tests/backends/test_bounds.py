"""Bounds of prompts whose tokenizer nobody here knows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.canned import Canned, asking
from tts.backends import Meter
from tts.backends.bounds import PromptBound
from tts.backends.openai import OpenAI
from tts.layers import Account, Budget, Budgeted, Record, Trace, Traced
from tts.messages import Request

TOOLS = [{"type": "function", "function": {"name": "look_up", "description": "words " * 200}}]


def turns(*texts: str, **fields: Any) -> Request:
    messages = [{"role": "user", "content": text} for text in texts]
    return Request.model_validate({"messages": messages} | fields)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5), st.text(max_size=40))
def test_no_byte_is_forgotten(texts: list[str], tool: str) -> None:
    bound = PromptBound({"tools": [tool]})
    schema = {"title": tool}
    asked = turns(*texts, json_schema=schema)
    everything = [*texts, tool, asked.json_schema or ""]
    assert bound.of(asked) >= sum(len(text.encode()) for text in everything) + 16 * len(texts)


@given(
    st.integers(0, 2000),
    st.integers(0, 300),
    st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=6), min_size=1, max_size=8),
)
def test_one_count_is_enough_to_bound_any_template(
    once: int, each: int, prompts: list[list[str]]
) -> None:
    """Whatever a template puts before the prompt and around each message."""
    bound = PromptBound({})
    first, *others = [turns(*texts) for texts in prompts]

    def counted(request: Request) -> int:
        sizes = [len(message.content.encode()) for message in request.messages]
        return sum(sizes) + once + each * len(sizes)

    bound.learn(first, counted(first))
    assert all(bound.of(other) >= counted(other) for other in others)
    before = [bound.of(other) for other in others]
    for other in others:
        bound.learn(other, counted(other))
    assert [bound.of(other) for other in others] >= before


def test_a_count_below_the_bound_changes_nothing() -> None:
    bound, asked = PromptBound({}), turns("What?")
    before = bound.of(asked)
    bound.learn(asked, 3)
    assert bound.of(asked) == before


def answering(prompt_tokens: int) -> Canned:
    choice = {"message": {"role": "assistant", "content": "7"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 1}
    return Canned({"choices": [choice], "usage": usage})


def provider(**fields: Any) -> OpenAI:
    return OpenAI.model_validate(
        {"base_url": "http://h/v1", "model": "m", "server": "vllm"} | fields
    )


@pytest.mark.anyio
async def test_tools_among_the_extra_fields_are_reserved_for() -> None:
    async with answering(20).serve(provider(extra={"tools": TOOLS})) as backend:
        assert backend.prompt_tokens(asking()) > 1200
    async with answering(20).serve(provider(extra={"tools": TOOLS}, omit=["tools"])) as backend:
        assert backend.prompt_tokens(asking()) < 400


@pytest.mark.anyio
async def test_what_a_provider_counts_beyond_the_bound_is_told_and_learnt() -> None:
    records: list[Record] = []
    async with answering(5000).serve(provider()) as backend:
        account = Account(Budget(total_tokens=1000), 0.0)
        layer = Budgeted(Traced(backend, Trace(records.append)), account)
        assert account.overspent is None
        reserved = backend.prompt_tokens(asking()) + 64
        await layer.generate(asking(), Meter())
        assert backend.prompt_tokens(asking()) >= 5000
    assert records[0]["overshoot"] == 5001 - reserved
    over = account.overspent
    assert over is not None
    assert (over.kind, over.spent, over.limit) == ("tokens", 5001, 1000)
