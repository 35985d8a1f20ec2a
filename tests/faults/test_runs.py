"""Whole runs against a server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.faults.conftest import PATIENT, Loopback, timeouts
from tests.faults.server import FAULTS, TEXT
from tests.faults.test_one_call import FINE, ROWS
from tests.play import Rig, rig
from tts import BackendTimeout, BackendUnavailable, Solution, solve
from tts.backends.openai import OpenAI
from tts.layers import Budget
from tts.stopping.dominance import Dominance
from tts.votes import Tally

pytestmark = pytest.mark.anyio

MET_HERE = {"every_other", "three_answers", "echo"}
RACES = {"kept_then_closed", "kept_then_reset"}


def provider(server: Loopback, fault: str, **settings: Any) -> OpenAI:
    fields = {"base_url": f"{server.url}/{fault}/v1", "model": "m", "server": "vllm"}
    return OpenAI.model_validate(fields | {"timeouts": timeouts(fault)} | settings)


async def voted(model: OpenAI, **settings: Any) -> Solution:
    return await solve(
        "What?", {"use": "self_consistency", "stop": "never"} | settings, model=model
    )


@asynccontextmanager
async def rigged(model: OpenAI, budget: Budget | None = None) -> AsyncIterator[Rig]:
    async with model.open() as backend:
        yield rig(backend, budget=budget)


def is_clean(rig: Rig) -> bool:
    return rig.account.promised == (0, 0, 0) and rig.limited.in_flight == 0


async def test_failing_calls_cost_a_vote_their_candidates_only(server: Loopback) -> None:
    solution = await voted(provider(server, "every_other", retry={"attempts": 1}), samples=8)
    assert (solution.answer, solution.samples, solution.failed_calls) == ("7", 4, 4)
    assert solution.usage.calls == 9  # the one for all eight, which failed, and then eight


@pytest.mark.parametrize(
    ("fault", "error"),
    [("status_500", BackendUnavailable), ("stalled_before_head", BackendTimeout)],
)
async def test_a_vote_without_any_answer_raises_the_first_error(
    fault: str, error: type[Exception], server: Loopback
) -> None:
    with pytest.raises(error):
        await voted(provider(server, fault), samples=4)


async def test_a_rule_that_stops_aborts_what_is_in_flight(server: Loopback) -> None:
    model = provider(server, "three_answers", timeouts=PATIENT)
    votes = Tally()
    async with rigged(model, Budget(total_tokens=50_000)) as made:
        async with made.run.sample("Q", 5, stop=Dominance(), votes=votes, speculate=2) as samples:
            async for candidate in samples:
                votes.add(candidate)
        seen = await anyio.to_thread.run_sync(lambda: server.seen("three_answers", aborted=True))
    assert (samples.consumed, seen["requests"], seen["aborted"]) == (3, 5, True)
    assert is_clean(made)
    outcomes = [record["outcome"] for record in made.records if record["event"] == "call"]
    assert sorted(outcomes) == ["cancelled"] * 2 + ["stop"] * 3


async def test_the_end_of_the_time_aborts_the_calls_and_keeps_what_was_found(
    server: Loopback,
) -> None:
    model = provider(server, "stalled_before_head", timeouts=PATIENT)
    strategy = {"use": "self_consistency", "samples": 3, "stop": "never"}
    solution = await solve("What?", strategy, model=model, budget=Budget(seconds=0.3))
    assert (solution.status, solution.answer, solution.usage.cancelled_calls) == (
        "budget_exhausted",
        None,
        3,
    )
    seen = await anyio.to_thread.run_sync(lambda: server.seen("stalled_before_head", aborted=True))
    assert seen["aborted"]


async def test_on_token_hears_a_stream_through_all_layers(server: Loopback) -> None:
    heard: list[str] = []
    async with rigged(provider(server, "stream_fine")) as made:
        completion = await made.run.generate("Q", on_token=heard.append)
    assert heard == ["All good. ", "Answer: 7"]
    assert completion.text == TEXT
    assert is_clean(made)


async def test_leaving_a_stream_aborts_it_at_the_server_and_is_charged(server: Loopback) -> None:
    model = provider(server, "stalled_in_stream", timeouts=PATIENT)
    async with rigged(model, Budget(total_tokens=5000)) as made:
        async with made.run.stream("Q") as pieces:
            first = await anext(pieces)
        seen = await anyio.to_thread.run_sync(
            lambda: server.seen("stalled_in_stream", aborted=True)
        )
        assert (first, seen["aborted"]) == ("All good. ", True)
        assert is_clean(made)
        assert 0 < made.account.spent.tokens < 100
    assert [record["estimated"] for record in made.records if record["event"] == "call"] == [True]


async def test_what_is_sent_is_the_request_and_the_key_stands_in_one_header(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-1")
    model = provider(server, "echo", api_key_env="A_KEY", headers={"x-app": "mine"})
    async with rigged(model) as made:
        echoed = json.loads((await made.run.generate("Größe?", max_tokens=9)).text)
    assert echoed["body"]["messages"] == [{"role": "user", "content": "Größe?"}]
    assert echoed["body"]["max_tokens"] == 9
    holding = [name for name, text in echoed["headers"].items() if "sk-1" in text]
    assert holding == ["authorization"]
    assert echoed["headers"]["x-app"] == "mine"
    assert "sk-1" not in json.dumps(made.records)


def test_every_fault_is_met() -> None:
    met = {row.fault for row in ROWS} | {fault for fault, _ in FINE}
    assert met | RACES | MET_HERE == set(FAULTS)
