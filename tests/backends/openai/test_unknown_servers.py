"""A look at an unknown server: what it costs, who pays, and who remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.canned import Canned
from tests.faults.conftest import started
from tts import Budget, Pipeline, Solution, Trace
from tts.backends import Cache
from tts.backends.openai import OpenAI
from tts.backends.replay import Replay
from tts.backends.wire.over_httpx import HttpxTransport
from tts.errors import BackendUnavailable, ConfigError
from tts.evals.harness import Harness
from tts.evals.keeping import open_calls
from tts.evals.records import Row
from tts.evals.store import RunStore
from tts.evals.suite import Lineup, Suite
from tts.evals.tries import Spent
from tts.layers import Record
from tts.layers.store import open_store
from tts.solver import Solver, open_solver

pytestmark = pytest.mark.anyio

URL = "http://localhost:8000/v1"
STRATEGY = {"use": "self_consistency", "samples": 2, "stop": "never"}
SMALL = {"prompt_tokens": 9, "completion_tokens": 5}


def said(usage: Any = SMALL) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Answer: 7"}}
    return {"choices": [choice | {"finish_reason": "stop"}], "usage": usage}


def unlisted(reply: Any) -> Canned:
    return Canned(lambda path: httpx.Response(404) if "models" in path else reply)


def pipeline(model: OpenAI, **settings: Any) -> Pipeline:
    return Pipeline.model_validate({"models": {"m": model}, "strategy": STRATEGY} | settings)


@pytest.mark.parametrize(
    ("reply", "prompt", "completion"),
    [(said(), 9, 5), (said(None), 8, 2), ({"odd": 1}, 8, 2), (httpx.Response(400), 0, 0)],
)
async def test_the_look_is_billed_once(reply: Any, prompt: int, completion: int) -> None:
    unknown = OpenAI(base_url=URL, model="m")
    async with unlisted(reply).serve(unknown):
        bill = unknown.take_bill()
        assert unknown.take_bill() is None
    assert bill is not None
    assert (bill.attempts, bill.prompt_tokens, bill.completion_tokens) == (1, prompt, completion)


async def test_a_look_that_fails_is_billed_for_its_attempts() -> None:
    down = httpx.Response(503)
    unknown = OpenAI.model_validate({"base_url": URL, "model": "m", "retry": {"attempts": 1}})
    with pytest.raises(BackendUnavailable):
        async with unlisted(down).serve(unknown):
            raise AssertionError
    bill = unknown.take_bill()
    assert bill is not None
    assert (bill.attempts, bill.total_tokens) == (1, 0)


async def test_a_known_server_costs_nothing() -> None:
    known = OpenAI(base_url=URL, model="m", server="vllm")
    async with unlisted(said()).serve(known):
        assert known.take_bill() is None


@pytest.fixture
def port() -> Any:
    with started() as port:
        yield port


async def solved(solver: Solver, records: list[Record]) -> Solution:
    asked = solver.pipeline.problem("What?")
    return await solver.solve(asked, trace=Trace(records.append))


async def test_the_first_run_pays_for_the_look(port: int) -> None:
    model = OpenAI(base_url=f"http://127.0.0.1:{port}/fine/v1", model="m")
    records: list[Record] = []
    async with open_solver(pipeline(model, budget=Budget(calls=9))) as solver:
        first, second = await solved(solver, records), await solved(solver, records)
    assert (first.usage.calls, second.usage.calls) == (3, 2)
    assert first.usage.total_tokens == second.usage.total_tokens + 14
    assert first.usage.critical_tokens == second.usage.critical_tokens
    probes = [record for record in records if record["event"] == "probe"]
    assert [(probe["model"], probe["prompt_tokens"]) for probe in probes] == [("m", 9)]


def bench(port: int, price: dict[str, float] | None = None) -> Suite:
    model = {
        "backend": "openai",
        "base_url": f"http://127.0.0.1:{port}/fine/v1",
        "model": "m",
        "price": price,
    }
    return Suite.model_validate(
        {
            "tasks": [{"use": "graphs", "level": 1, "problems": 2}],
            "models": {"m": model},
            "strategies": {"one": {"use": "self_consistency", "samples": 1}},
            "budgets": {"one call": {"calls": 1}},
        }
    )


async def filled(suite: Suite, folder: Path) -> tuple[list[Row], Spent]:
    harness = Harness(suite, folder / "calls.sqlite")
    with RunStore(folder / "run.sqlite") as store:
        store.plan(harness.cells, harness.examples)
        await harness.run(store)
        rows = [row for cell in harness.cells for row in store.rows(cell)]
        return rows, Spent.model_validate(store.about()["paid"])


async def test_the_bill_of_a_bench_has_the_look_and_no_problem_pays_for_it(
    port: int, tmp_path: Path
) -> None:
    suite = bench(port, {"input": 1e6, "output": 1e6})
    rows, paid = await filled(suite, tmp_path)
    assert {(row.status, row.usage.calls) for row in rows} == {("ok", 1)}  # a budget of one call
    solved, look = Spent.sum(Spent.of(row.usage) for row in rows), paid
    assert (look.calls, look.total_tokens) == (solved.calls + 1, solved.total_tokens + 14)
    assert look.cost_usd == look.total_tokens
    again, more = await filled(bench(port, {"input": 1e6, "output": 1e6}), tmp_path)
    assert again == rows
    assert more.less(paid) == Spent(calls=1, prompt_tokens=9, completion_tokens=5, cost_usd=14.0)


async def test_a_look_is_paid_for_even_if_another_model_cannot_be_opened(
    port: int, tmp_path: Path
) -> None:
    suite = bench(port)
    other = Lineup(models={"model": Replay(cassette=tmp_path / "missing")})
    broken = suite.model_copy(update={"models": {**suite.models, "other": other}})
    with pytest.raises(ConfigError, match="missing"):
        await filled(broken, tmp_path)
    with open_calls(tmp_path / "calls.sqlite") as calls:
        assert calls.bill.total() == Spent(
            calls=1, prompt_tokens=9, completion_tokens=5, cost_usd=None
        )


async def test_what_was_found_is_kept_with_the_cache_so_that_no_server_is_needed(
    tmp_path: Path,
) -> None:
    cache = {"path": tmp_path / "calls.sqlite"}

    def fresh(port: int) -> OpenAI:
        settings = {"base_url": f"http://127.0.0.1:{port}/fine/v1", "model": "m", "cache": cache}
        return OpenAI.model_validate(settings)

    with started() as port:
        async with open_solver(pipeline(fresh(port))) as solver:
            first = await solved(solver, [])
    async with open_solver(pipeline(fresh(port))) as solver:
        again = await solved(solver, [])
    assert (first.usage.calls, again.usage.calls, again.usage.cached_calls) == (3, 0, 2)
    assert again.answer == first.answer == "7"


def test_a_memory_that_nobody_can_read_is_no_memory() -> None:
    for memory in (b"", b"[1]", b'["m", "vllm", null, {"new": 1}]'):
        unknown = OpenAI(base_url=URL, model="m")
        unknown.recall(memory)
        assert unknown.known_abilities() is None


async def test_a_memory_says_all_that_a_look_does(tmp_path: Path) -> None:
    listed = {"data": [{"id": "only", "owned_by": "vllm", "max_model_len": 4096}]}
    looked, reminded = OpenAI(base_url=URL), OpenAI(base_url=URL)
    async with Canned(listed).serve(looked) as backend:
        memory = looked.memory()
    assert memory is not None
    reminded.recall(memory)
    nowhere = HttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(_unreachable)))
    async with reminded.open(nowhere) as known:
        assert (known.name, known.capabilities) == (backend.name, backend.capabilities)
    assert reminded.memory() is None  # it was kept already
    await nowhere.close()


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request.url)


def test_old_memories_are_forgotten_and_none_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with open_store(Cache(path=path)) as store:
        store.put(b"k" * 16, b"memory")
        assert store.peek(b"k" * 16) == b"memory"
        assert store.peek(b"l" * 16) is None
    with open_store(Cache(path=path, max_days=1e-12)) as store:
        assert store.peek(b"k" * 16) is None
    with open_store(Cache(path=path)) as store:
        assert store.stats()[2:4] == (0, 0)
