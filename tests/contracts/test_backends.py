"""What every backend must do: the bundled one, and the fakes that stand for the others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from tts.backends import Backend, Meter, Provider
from tts.messages import Message, Request
from tts.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

QUESTION = "Facts:\nhats = 9\nkeys = hats - 4\nQuestion: keys?\n\nSolve step by step."
OFFLINE = ["reference"]  # registered backends that need no server
BACKENDS = ["scripted", *OFFLINE]


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "scripted":
        yield ScriptedBackend(lambda asked: f"{asked.seed} " + "word " * 60, latency=0.001)
    else:
        async with Provider.parse(request.param).open() as opened:
            yield opened


def ask(**fields: object) -> Request:
    message = Message(role="user", content=QUESTION)
    return Request.model_validate({"messages": (message,), "seed": 5, "max_tokens": 48} | fields)


async def test_backend_is_a_backend(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert backend.name


async def test_meter_agrees_with_the_usage(backend: Backend) -> None:
    meter = Meter()
    completion = await backend.generate(ask(), meter)
    assert completion.usage.prompt_tokens <= backend.prompt_tokens(ask())
    assert 0 < completion.usage.completion_tokens <= 48
    assert meter.usage == completion.usage


async def test_same_seed_gives_the_same_text(backend: Backend) -> None:
    texts = {(await backend.generate(ask(), Meter())).text for _ in range(3)}
    assert len(texts) == 1


async def test_max_tokens_is_respected(backend: Backend) -> None:
    completion = await backend.generate(ask(max_tokens=3), Meter())
    assert completion.usage.completion_tokens == 3
    assert completion.finish_reason == "length"


async def test_logprobs_come_when_asked_for(backend: Backend) -> None:
    completion = await backend.generate(ask(logprobs=True), Meter())
    assert completion.logprobs
    assert all(entry.logprob <= 0 for entry in completion.logprobs)
    assert (await backend.generate(ask(), Meter())).logprobs is None


async def test_alternatives_come_when_asked_for_best_first(backend: Backend) -> None:
    completion = await backend.generate(ask(top_logprobs=2), Meter())
    for entry in completion.logprobs or ():
        assert 1 <= len(entry.top) <= 2
        assert [*entry.top] == sorted(entry.top, key=lambda pair: -pair[1])
    assert completion.logprobs


async def test_a_given_text_is_scored_and_not_continued(backend: Backend) -> None:
    assert backend.capabilities.score
    completion = await backend.generate(ask(given="keys = 5"), Meter())
    assert (completion.text, completion.usage.completion_tokens) == ("keys = 5", 0)
    assert completion.usage.prompt_tokens <= backend.prompt_tokens(ask(given="keys = 5"))
    assert completion.logprobs


async def test_cancelled_call_is_charged_for_what_it_used(backend: Backend) -> None:
    meter = Meter()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.generate, ask(), meter)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert meter.total_tokens <= backend.prompt_tokens(ask()) + 48
    assert (await backend.generate(ask(), Meter())).text
