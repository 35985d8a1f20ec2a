"""The openai backend against llama.cpp's own server and a small real model: `make test-live`.

It is the wire that is tried here; what so small a model says is nearly never right.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import anyio
import pytest
from jsonschema import validate

from tests.play import rig
from tts import ConfigError, ContextLengthExceeded, Meter, Trace, solve
from tts.backends.openai import OpenAI
from tts.layers import Budget
from tts.messages import Request

pytestmark = pytest.mark.anyio

ALIAS = "small"
SLOTS = 8
CONTEXT = 512
"""Tokens of each slot."""
READY_SECONDS = 60
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Start the server; yield its address."""
    binary, model = os.environ.get("LLAMA_SERVER"), os.environ.get("LLAMA_MODEL")
    if not (binary and model):
        pytest.fail("LLAMA_SERVER and LLAMA_MODEL name the server and the model: make test-live")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # One thread each: spinning threads on a busy machine are many times slower.
    flags = f"-np {SLOTS} -c {SLOTS * CONTEXT} -t 1 -tb 1 --no-webui --slots --offline --jinja"
    command = [binary, "-m", model, "--host", "127.0.0.1", "--port", str(port), "--alias", ALIAS]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen(
        [*command, *flags.split()],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, base)
            yield base
        finally:
            process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], base: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"the server ended with code {process.returncode}")
        try:
            with urlopen(f"{base}/health", timeout=1) as response:
                if response.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the server is not ready after {READY_SECONDS} s")


def provider(url: str, **settings: Any) -> OpenAI:
    return OpenAI.model_validate({"base_url": f"{url}/v1"} | settings)


def asking(text: str = "Name three colours.", **fields: Any) -> Request:
    messages = ({"role": "user", "content": text},)
    return Request.model_validate({"messages": messages, "max_tokens": 32, "seed": 7} | fields)


def busy_slots(url: str) -> int:
    with urlopen(f"{url}/slots") as response:
        return sum(slot["is_processing"] for slot in json.load(response))


async def test_the_server_is_recognised_and_its_only_model_found(url: str) -> None:
    async with provider(url).open() as backend:
        assert backend.name == ALIAS
        can = backend.capabilities
    assert can.logprobs
    assert can.seed
    assert not can.score


async def test_chat_with_exact_usage(url: str) -> None:
    async with provider(url).open() as backend:
        meter = Meter()
        completion = await backend.generate(asking(), meter)
        assert completion.text
        assert 0 < completion.usage.completion_tokens <= 32
        assert completion.usage.prompt_tokens <= backend.prompt_tokens(asking())
        assert not completion.usage.estimated
        assert meter.usage == completion.usage


async def test_completions_of_raw_text(url: str) -> None:
    async with provider(url, endpoint="completions").open() as backend:
        completion = await backend.generate(asking("1, 2, 3, 4, 5,", logprobs=True), Meter())
    assert completion.text
    assert completion.logprobs


async def test_the_same_seed_gives_the_same_text_and_another_another(url: str) -> None:
    async with provider(url).open() as backend:
        asked = [asking(seed=seed, temperature=1.0) for seed in (1, 1, 2, 3, 4)]
        texts = [(await backend.generate(request, Meter())).text for request in asked]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


async def test_max_tokens_and_stop_cut_the_text(url: str) -> None:
    async with provider(url).open() as backend:
        cut = await backend.generate(asking(max_tokens=3), Meter())
        whole = (await backend.generate(asking(temperature=0.0), Meter())).text
        word = whole.split()[2]
        stopped = await backend.generate(asking(temperature=0.0, stop=(word,)), Meter())
    assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", 3)
    assert stopped.text == whole[: whole.index(word)]


async def test_logprobs_with_alternatives(url: str) -> None:
    async with provider(url).open() as backend:
        completion = await backend.generate(asking(top_logprobs=3), Meter())
    entries = completion.logprobs or ()
    assert "".join(entry.token for entry in entries).startswith(completion.text)
    assert all(entry.logprob <= 0 and 1 <= len(entry.top) <= 3 for entry in entries)


async def test_a_stream_is_the_same_text_in_pieces_with_its_usage(url: str) -> None:
    heard: list[str] = []
    async with provider(url).open() as backend:
        whole = await backend.generate(asking(temperature=0.0), Meter())
        streamed = await backend.generate(asking(temperature=0.0), Meter(listener=heard.append))
    assert len(heard) > 1
    assert "".join(heard) == streamed.text == whole.text
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens
    assert not streamed.usage.estimated


async def test_text_is_bound_to_a_schema(url: str) -> None:
    async with provider(url).open() as backend:
        completion = await backend.generate(
            asking("Add 3 and 4 as JSON.", json_schema=SCHEMA, max_tokens=64), Meter()
        )
    validate(json.loads(completion.text), SCHEMA)


async def test_several_completions_from_one_call(url: str) -> None:
    async with provider(url).open() as backend:
        meter = Meter()
        group = await backend.generate(asking(temperature=1.0, logprobs=True, n=3), meter)
        again = await backend.generate(asking(temperature=1.0, logprobs=True, n=3), Meter())
    drawn = [draw for draw in group.draws if draw is not None]
    assert len(drawn) == 3
    assert len({completion.text for completion in drawn}) > 1
    assert meter.completion_tokens == sum(len(each.logprobs or ()) for each in drawn)
    assert [draw and draw.text for draw in again.draws] == [draw.text for draw in drawn]


async def test_a_sample_is_drawn_in_one_request_or_in_as_many_as_the_server_takes(url: str) -> None:
    for concurrency, most in ((SLOTS, SLOTS), (64, SLOTS)):
        model = provider(url, sampling={"max_tokens": 8}, concurrency=concurrency)
        records: list[dict[str, Any]] = []
        solution = await solve(
            "What is 3 + 4?",
            {"use": "self_consistency", "samples": 10, "stop": "never"},
            model=model,
            trace=Trace(records.append),
        )
        sizes = [record.get("n", 1) for record in records if record["event"] == "call"]
        assert (solution.samples, solution.usage.calls, solution.failed_calls) == (10, 10, 0)
        assert sum(sizes) == 10
        assert max(sizes) <= most


async def test_the_assistants_words_are_continued(url: str) -> None:
    words = (
        {"role": "user", "content": "Count to ten in digits."},
        {"role": "assistant", "content": "1, 2, 3, 4,"},
    )
    async with provider(url).open() as backend:
        completion = await backend.generate(asking(messages=words, temperature=0.0), Meter())
    assert completion.text.lstrip().startswith("5")


async def test_scoring_is_refused_before_it_is_paid_for(url: str) -> None:
    async with provider(url).open() as backend:
        with pytest.raises(ConfigError, match="'score'"):
            await backend.generate(asking(given="red"), Meter())


async def test_a_prompt_that_does_not_fit_says_so(url: str) -> None:
    async with provider(url).open() as backend:
        with pytest.raises(ContextLengthExceeded):
            await backend.generate(asking("word " * 4 * CONTEXT), Meter())


async def test_a_cancelled_call_frees_its_slot(url: str) -> None:
    async with provider(url).open() as backend:
        made = rig(backend, budget=Budget(total_tokens=100_000))
        async with made.run.stream("Tell a very long story.", max_tokens=400) as pieces:
            await anext(pieces)
            assert await anyio.to_thread.run_sync(busy_slots, url) == 1
        with anyio.fail_after(5):
            while await anyio.to_thread.run_sync(busy_slots, url):  # noqa: ASYNC110  # it must be asked
                await anyio.sleep(0.05)
        assert made.account.promised == (0, 0, 0)
        assert made.limited.in_flight == 0
        assert 0 < made.account.spent.tokens < 400


async def test_many_streams_and_posts_on_kept_connections(url: str) -> None:
    async with provider(url, concurrency=SLOTS).open() as backend:
        for index in range(40):
            meter = Meter(listener=len) if index % 2 else Meter()  # type: ignore[arg-type]  # any callable
            completion = await backend.generate(asking(seed=index, max_tokens=4), meter)
            assert completion.usage.completion_tokens <= 4


async def test_self_consistency_from_end_to_end(url: str) -> None:
    strategy = {"use": "self_consistency", "samples": 8}
    model = provider(url, sampling={"max_tokens": 96})
    solution = await solve("What is 3 + 4?", strategy, model=model, budget=Budget(seconds=300))
    assert solution.status in {"ok", "no_answer"}
    assert solution.failed_calls == 0
    assert 0 < solution.usage.calls <= 8
    assert solution.usage.cost_usd is None  # nobody knows its price
