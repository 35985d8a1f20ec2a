"""What the openai backend does on llama.cpp's server, whatever the model: tests to be imported.

A module that takes them over has a fixture `served`.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from jsonschema import validate

from tests.live.servers import Served
from tests.play import rig
from tts import ConfigError, ContextLengthExceeded, Meter, Trace, solve
from tts.layers import Budget
from tts.messages import Request

SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}


def asking(text: str, **fields: Any) -> Request:
    messages = ({"role": "user", "content": text},)
    return Request.model_validate({"messages": messages, "max_tokens": 32, "seed": 7} | fields)


async def test_the_server_is_recognised_and_its_only_model_found(served: Served) -> None:
    async with served.provider().open() as backend:
        assert backend.name == served.alias
        can = backend.capabilities
    assert can.logprobs
    assert can.seed
    assert not can.score


async def test_chat_with_exact_usage(served: Served) -> None:
    async with served.provider().open() as backend:
        meter = Meter()
        completion = await backend.generate(asking(served.question), meter)
        assert completion.text
        assert 0 < completion.usage.completion_tokens <= 32
        bound = backend.prompt_tokens(asking(served.question))
        assert completion.usage.prompt_tokens <= bound
        assert not completion.usage.estimated
        assert meter.usage == completion.usage


async def test_completions_of_raw_text(served: Served) -> None:
    async with served.provider(endpoint="completions").open() as backend:
        completion = await backend.generate(asking(served.raw, logprobs=True), Meter())
    assert completion.text
    assert completion.logprobs


async def test_the_same_seed_gives_the_same_text_and_another_another(served: Served) -> None:
    seeds = (1, 1, 2, 3, 4, 5, 6)
    asked = [asking(served.question, seed=seed, temperature=1.5) for seed in seeds]
    async with served.provider().open() as backend:
        texts = [(await backend.generate(request, Meter())).text for request in asked]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


async def test_max_tokens_and_stop_cut_the_text(served: Served) -> None:
    async with served.provider().open() as backend:
        cut = await backend.generate(asking(served.question, max_tokens=3), Meter())
        greedy = asking(served.question, temperature=0.0)
        whole = (await backend.generate(greedy, Meter())).text
        word = whole.split()[2]
        stopped = await backend.generate(
            asking(served.question, temperature=0.0, stop=(word,)), Meter()
        )
    assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", 3)
    assert stopped.text == whole[: whole.index(word)]


async def test_logprobs_with_alternatives(served: Served) -> None:
    async with served.provider().open() as backend:
        completion = await backend.generate(asking(served.question, top_logprobs=3), Meter())
    entries = completion.logprobs or ()
    assert "".join(entry.token for entry in entries).startswith(completion.text)
    assert all(entry.logprob <= 0 and 1 <= len(entry.top) <= 3 for entry in entries)


async def test_a_stream_is_the_same_text_in_pieces_with_its_usage(served: Served) -> None:
    heard: list[str] = []
    greedy = asking(served.question, temperature=0.0)
    async with served.provider().open() as backend:
        whole = await backend.generate(greedy, Meter())
        streamed = await backend.generate(greedy, Meter(listener=heard.append))
    assert len(heard) > 1
    assert "".join(heard) == streamed.text == whole.text
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens
    assert not streamed.usage.estimated


async def test_text_is_bound_to_a_schema(served: Served) -> None:
    async with served.provider().open() as backend:
        completion = await backend.generate(
            asking("Add 3 and 4 as JSON.", json_schema=SCHEMA, max_tokens=64), Meter()
        )
    validate(json.loads(completion.text), SCHEMA)


async def test_several_completions_from_one_call(served: Served) -> None:
    asked = asking(served.question, temperature=1.5, logprobs=True, n=served.slots)
    async with served.provider().open() as backend:
        meter = Meter()
        group = await backend.generate(asked, meter)
        again = await backend.generate(asked, Meter())
    drawn = [draw for draw in group.draws if draw is not None]
    assert len(drawn) == served.slots
    assert len({completion.text for completion in drawn}) > 1
    ended = sum(completion.finish_reason == "stop" for completion in drawn)
    shown = sum(len(each.logprobs or ()) for each in drawn)
    assert shown <= meter.completion_tokens <= shown + ended
    assert [draw and draw.text for draw in again.draws] == [draw.text for draw in drawn]


async def test_a_sample_is_drawn_in_one_request_or_in_as_many_as_the_server_takes(
    served: Served,
) -> None:
    strategy = {"use": "self_consistency", "samples": 2 * served.slots - 1, "stop": "never"}
    for concurrency in (served.slots, 64):
        model = served.provider(sampling={"max_tokens": 8}, concurrency=concurrency)
        records: list[dict[str, Any]] = []
        solution = await solve(served.question, strategy, model=model, trace=Trace(records.append))
        sizes = [record.get("n", 1) for record in records if record["event"] == "call"]
        assert (solution.samples, solution.failed_calls) == (2 * served.slots - 1, 0)
        assert sum(sizes) == 2 * served.slots - 1
        assert 1 < max(sizes) <= served.slots


async def test_scoring_is_refused_before_it_is_paid_for(served: Served) -> None:
    async with served.provider().open() as backend:
        with pytest.raises(ConfigError, match="'score'"):
            await backend.generate(asking(served.question, given="red"), Meter())


async def test_a_prompt_that_does_not_fit_says_so(served: Served) -> None:
    async with served.provider().open() as backend:
        with pytest.raises(ContextLengthExceeded):
            await backend.generate(asking("word " * 4 * served.context), Meter())


async def test_a_cancelled_call_frees_its_slot(served: Served) -> None:
    most = served.context // 2
    async with served.provider(extra={"ignore_eos": True}).open() as backend:
        made = rig(backend, budget=Budget(total_tokens=100_000))
        async with made.run.stream(served.question, max_tokens=most) as pieces:
            await anext(pieces)
            assert await anyio.to_thread.run_sync(served.busy_slots) == 1
        with anyio.fail_after(5):
            while await anyio.to_thread.run_sync(served.busy_slots):  # noqa: ASYNC110  # it must be asked
                await anyio.sleep(0.05)
        assert made.account.promised == (0, 0, 0)
        assert made.limited.in_flight == 0
        assert 0 < made.account.spent.tokens < most


async def test_many_streams_and_posts_on_kept_connections(served: Served) -> None:
    async with served.provider(concurrency=served.slots).open() as backend:
        for index in range(40):
            meter = Meter(listener=len) if index % 2 else Meter()  # type: ignore[arg-type]  # any callable
            asked = asking(served.question, seed=index, max_tokens=4)
            completion = await backend.generate(asked, meter)
            assert completion.usage.completion_tokens <= 4
