"""The bundled model keeps the contract of a backend."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from threading import Thread

import anyio
import numpy as np
import pytest

from tests.backends.reference.networks import BUNDLED
from tts.backends.base import Backend, Meter, Price, Provider
from tts.backends.reference import Reference, ReferenceBackend
from tts.errors import ConfigError, ContextLengthExceeded
from tts.messages import Completion, Message, Request, Usage


@cache
def backend() -> ReferenceBackend:
    return ReferenceBackend()


def request(text: str = "cats = 4\nWhat are cats?", **options: object) -> Request:
    asked: dict[str, object] = {
        "messages": (Message(role="user", content=text),),
        "seed": 1,
        "temperature": 1.0,
        "max_tokens": 40,
    }
    return Request.model_validate(asked | options)


async def complete(asked: Request) -> Completion:
    return await backend().generate(asked, Meter())


async def batch(requests: list[Request], concurrency: int) -> list[Completion]:
    found: dict[int, Completion] = {}
    limiter = anyio.Semaphore(concurrency)

    async def one(index: int) -> None:
        async with limiter:
            found[index] = await complete(requests[index])

    async with anyio.create_task_group() as group:
        for index in range(len(requests)):
            group.start_soon(one, index)
    return [found[index] for index in range(len(requests))]


@pytest.mark.parametrize("cut", [1, 3, 4, 5])
def test_a_text_is_gone_on_with_as_if_it_had_not_been_cut(cut: int) -> None:
    async def main() -> tuple[Completion, Completion, Completion]:
        asked = request(temperature=0.0, logprobs=True)
        whole = await complete(asked)
        begun = await complete(asked.model_copy(update={"max_tokens": cut}))
        words = Message(role="assistant", content=begun.text)
        messages = (*asked.messages, words)
        rest = await complete(asked.model_copy(update={"messages": messages}))
        return whole, begun, rest

    whole, begun, rest = anyio.run(main)
    assert begun.finish_reason == "length"
    assert (begun.text + rest.text).startswith(whole.text)
    assert whole.logprobs and begun.logprobs and rest.logprobs
    assert "".join(one.token for one in rest.logprobs) == rest.text
    joined = [one.token for one in (*begun.logprobs, *rest.logprobs)]
    assert joined[: len(whole.logprobs)] == [one.token for one in whole.logprobs]


def test_it_is_a_backend_that_can_do_everything() -> None:
    assert isinstance(backend(), Backend)
    able = backend().capabilities
    assert able.seed and able.logprobs and able.score and able.fork and able.prefill
    assert able.top_logprobs == 20
    config = json.loads((BUNDLED / "config.json").read_text())
    assert able.context == config["max_position_embeddings"]
    assert backend().price == Price(input=0.0, output=0.0)


@pytest.mark.anyio
async def test_its_settings_open_it_by_name() -> None:
    assert Provider.named("reference") is Reference
    async with Reference(max_batch=2, exact_replay=False).open() as opened:
        assert (await opened.generate(request(max_tokens=2), Meter())).model == "reference"


@pytest.mark.long
@pytest.mark.anyio
async def test_texts_are_the_same_at_any_concurrency() -> None:
    requests = [
        request(f"cats = {i % 3}\n", seed=i, max_tokens=2 + i % 9, logprobs=True) for i in range(64)
    ]
    assert await batch(requests, 64) == await batch(requests, 1)


@pytest.mark.anyio
async def test_the_end_token_is_counted_but_neither_text_nor_logprob() -> None:
    reasons = set()
    for asked in (request(seed=seed, logprobs=True, max_tokens=4 + 5 * seed) for seed in range(16)):
        meter = Meter()
        completion = await backend().generate(asked, meter)
        assert completion.usage == meter.usage
        assert meter.prompt_tokens == backend().prompt_tokens(asked)
        assert completion.logprobs is not None
        assert "".join(entry.token for entry in completion.logprobs) == completion.text
        ended = completion.finish_reason == "stop"
        assert len(completion.logprobs) == meter.completion_tokens - ended
        reasons.add(completion.finish_reason)
    assert reasons == {"stop", "length"}


@pytest.mark.anyio
async def test_a_cut_completion_says_so() -> None:
    completion = await complete(request(max_tokens=1))
    assert completion.finish_reason == "length"
    assert completion.usage.completion_tokens == 1
    assert completion.logprobs is None


@pytest.mark.anyio
async def test_a_stop_string_ends_the_text_before_it() -> None:
    free = await complete(request(max_tokens=400, logprobs=True))
    stop = free.text[len(free.text) // 2 :][:2]
    assert stop
    stopped = await complete(request(max_tokens=400, stop=(stop,), logprobs=True))
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.usage.completion_tokens <= free.usage.completion_tokens
    assert "".join(entry.token for entry in stopped.logprobs or ()) == stopped.text


@pytest.mark.anyio
async def test_a_given_text_comes_back_with_the_logprobs_it_was_written_with() -> None:
    for seed in range(20):
        asked = request(seed=seed, logprobs=True, max_tokens=60)
        written, meter = await complete(asked), Meter()
        given = request(given=written.text, top_logprobs=1)
        scored = await backend().generate(given, meter)
        assert scored.text == written.text
        assert scored.logprobs is not None and written.logprobs is not None
        # A model may spell a text in other tokens than the tokenizer would.
        if [e.token for e in scored.logprobs] == [e.token for e in written.logprobs]:
            break
    else:
        pytest.fail("no text was spelled as the tokenizer spells it")
    assert scored.finish_reason == "stop"
    pairs = zip(scored.logprobs, written.logprobs, strict=True)
    assert all(abs(a.logprob - b.logprob) <= 1e-4 for a, b in pairs)
    assert all(len(entry.top) == 1 for entry in scored.logprobs)
    expected = backend().prompt_tokens(asked) + len(scored.logprobs)
    assert scored.usage == Usage(prompt_tokens=expected)
    assert backend().prompt_tokens(given) == meter.prompt_tokens == expected


@pytest.mark.anyio
async def test_alternatives_are_the_most_probable_tokens_best_first() -> None:
    completion = await complete(request(temperature=0.0, top_logprobs=20, max_tokens=400))
    for entry in completion.logprobs or ():
        chances = [logprob for _, logprob in entry.top]
        assert len(chances) == 20
        assert chances == sorted(chances, reverse=True)
        assert entry.top[0] == (entry.token, entry.logprob)


@pytest.mark.anyio
async def test_completions_are_cut_to_what_the_context_leaves() -> None:
    context = backend().capabilities.context or 0
    words = [backend().prompt_tokens(request("a " * count)) for count in (1, 2)]
    count = (context - 4 - words[0]) // (words[1] - words[0])
    asked = request("a " * count, max_tokens=10**6)
    completion = await complete(asked)
    assert completion.usage.total_tokens <= context
    for long in (request("a " * context), request(given="a " * context)):
        meter = Meter()
        with pytest.raises(ContextLengthExceeded, match=str(context)):
            await backend().generate(long, meter)
        assert not meter.started and meter.usage == Usage()


@pytest.mark.anyio
async def test_any_number_is_a_seed() -> None:
    texts = [await complete(request(seed=seed, max_tokens=2)) for seed in (-1, 2**80)]
    assert all(completion.usage.completion_tokens for completion in texts)


@pytest.mark.anyio
async def test_without_a_seed_draws_differ() -> None:
    texts = {
        (await complete(request(seed=None, temperature=5.0, max_tokens=8))).text for _ in range(4)
    }
    assert len(texts) == 4


@pytest.mark.anyio
async def test_a_cancelled_call_is_charged_for_what_it_decoded() -> None:
    meter, other = Meter(), Meter()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancelled() -> None:
                await backend().generate(request(max_tokens=700, temperature=9.0), meter)

            async def canceller() -> None:
                await backend().generate(request(max_tokens=1), other)
                scope.cancel()

            group.start_soon(cancelled)
            group.start_soon(canceller)
    assert other.usage.completion_tokens == 1
    assert meter.started
    assert meter.prompt_tokens == other.prompt_tokens
    assert meter.completion_tokens >= 1


def test_one_object_serves_several_event_loops_at_once() -> None:
    requests = [request(seed=seed) for seed in range(6)]
    found: dict[int, list[Completion]] = {}

    def serve(index: int) -> None:
        found[index] = anyio.run(batch, requests, 6)

    threads = [Thread(target=serve, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == anyio.run(batch, requests, 1)


def test_files_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        ReferenceBackend(folder=tmp_path)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["vocab_size"] += 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="embed_tokens"):
        ReferenceBackend(folder=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="cannot read the weights"):
        ReferenceBackend(folder=tmp_path)


@pytest.mark.anyio
async def test_float64_gives_the_same_logprobs_up_to_rounding() -> None:
    asked = request(given="cats = 4")
    precise = await ReferenceBackend(dtype=np.float64).generate(asked, Meter())
    pairs = zip(precise.logprobs or (), (await complete(asked)).logprobs or (), strict=True)
    assert all(abs(a.logprob - b.logprob) < 1e-3 for a, b in pairs)
