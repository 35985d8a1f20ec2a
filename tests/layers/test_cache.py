from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.asking import Moody, ask
from tests.play import noise
from tts import Pipeline, Solution, Trace
from tts.backends import Backend, Cache, Given, Meter
from tts.errors import BackendUnavailable
from tts.layers import Limited, Record
from tts.layers import store as module
from tts.layers.cache import Cached
from tts.layers.store import Store
from tts.messages import Request
from tts.solver import open_solver
from tts.testing import ScriptedBackend, virtual_run

CHANGES: list[dict[str, Any]] = [
    {"text": "Other"},
    {"seed": 6},
    {"temperature": 0.7},
    {"top_p": 0.5},
    {"top_k": 3},
    {"max_tokens": 9},
    {"stop": ("x",)},
    {"logprobs": True},
    {"top_logprobs": 2},
    {"n": 2},
    {"given": "one"},
]
SAME: list[dict[str, Any]] = [
    {"role": "judge"},
    {"span": "run/x"},
    {"ticket": 4},
    {"timeout": 60.0},
    {"priority": 3},
]


def in_memory() -> Store:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    module._lay_out(connection)
    connection.execute("PRAGMA recursive_triggers = ON")
    return Store(connection, max_bytes=1e9, max_seconds=1e9)


def cached(backend: Backend, store: Store | None = None, identity: object = "m") -> Cached:
    return Cached(Limited(backend, 64), store or in_memory(), {"backend": identity})


def counting() -> ScriptedBackend:
    """A model that never says the same twice, after a while."""
    answers = iter(range(10**9))
    return ScriptedBackend(lambda request: f"answer {next(answers)}", latency=1.0)


def texts(layer: Cached, *requests: Request, meter: Callable[[], Meter] = Meter) -> list[str]:
    async def main() -> list[str]:
        return [(await layer.generate(request, meter())).text for request in requests]

    return virtual_run(main)


def test_the_same_call_is_made_once() -> None:
    backend = counting()
    layer, meter = cached(backend), Meter()
    assert texts(layer, ask()) == texts(layer, ask(), meter=lambda: meter) == ["answer 0"]
    assert len(backend.requests) == 1
    assert (meter.cached, meter.started, meter.total_tokens) == (True, False, 0)


def test_what_comes_back_is_what_was_said() -> None:
    backend = ScriptedBackend(lambda request: "größer \x00 \n words here")
    layer = cached(backend)
    request = ask(top_logprobs=2, max_tokens=2)

    async def main() -> bool:
        first = await layer.generate(request, Meter())
        return first == await layer.generate(request, Meter())

    assert virtual_run(main)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_the_answer_depends_on_is_in_the_key(change: dict[str, Any]) -> None:
    backend = counting()
    texts(cached(backend), ask(), ask(**change))
    assert len(backend.requests) == 2


@pytest.mark.parametrize("change", SAME, ids=lambda change: next(iter(change)))
def test_whatever_it_does_not_depend_on_is_not(change: dict[str, Any]) -> None:
    backend = counting()
    texts(cached(backend), ask(), ask(**change))
    assert len(backend.requests) == 1


def test_every_field_of_a_request_was_thought_of() -> None:
    tried = {key for change in [*CHANGES, *SAME] for key in change} - {"text"} | {"messages"}
    later = {"json_schema", "tools"}  # anything new is part of the key unless left out on purpose
    assert set(Request.model_fields) - later == tried


def test_another_model_is_asked_anew() -> None:
    backend, store = counting(), in_memory()
    texts(cached(backend, store, identity="a"), ask())
    texts(cached(backend, store, identity="b"), ask())
    assert len(backend.requests) == 2


def test_a_sample_without_a_seed_is_always_fresh() -> None:
    assert len(set(texts(cached(counting()), *[ask(seed=None)] * 3))) == 3


@pytest.mark.parametrize("unsampled", [{"temperature": 0.0}, {"given": "one two"}])
def test_what_is_not_sampled_needs_no_seed(unsampled: dict[str, Any]) -> None:
    backend = counting()
    texts(cached(backend), *(ask(seed=seed, **unsampled) for seed in (None, 1, 2)))
    assert len(backend.requests) == 1


def test_equal_calls_in_flight_are_made_once() -> None:
    backend = counting()
    layer, meters = cached(backend), [Meter() for _ in range(5)]
    heard: list[str] = []
    meters[3].listener = heard.append

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for meter in meters:
                tasks.start_soon(layer.generate, ask(), meter)

    virtual_run(main)
    assert len(backend.requests) == 1
    assert [meter.cached for meter in meters] == [False] + [True] * 4
    assert heard == ["answer 0"]


def test_a_failure_is_shared_and_not_kept() -> None:
    backend = Moody([BackendUnavailable("down")])
    layer = cached(backend)
    failed: list[int] = []

    async def one(index: int) -> None:
        try:
            await layer.generate(ask(), Meter())
        except BackendUnavailable:
            failed.append(index)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 0)
            tasks.start_soon(one, 1)
        await one(2)

    virtual_run(main)
    assert set(failed) <= {0, 1}
    assert failed
    assert layer._flights == {}


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.integers(0, 1)), max_size=10))
def test_whoever_is_cancelled_holds_up_nobody(calls: list[tuple[float, float, int]]) -> None:
    backend = counting()
    layer = cached(backend)
    answers: dict[int, set[str]] = {0: set(), 1: set()}

    async def one(born: float, lasts: float, seed: int) -> None:
        await anyio.sleep(born)
        with anyio.move_on_after(lasts):
            answers[seed].add((await layer.generate(ask(seed=seed), Meter())).text)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(one, *call)
            tasks.start_soon(one, 1.0, 60.0, 0)
        assert len(anyio.get_running_tasks()) == 1

    virtual_run(main)
    assert len(answers[0]) == 1
    assert len(answers[1]) <= 1
    assert (backend.active, layer._flights) == (0, {})


def test_an_answer_that_cannot_be_read_is_asked_for_again() -> None:
    backend, store = counting(), in_memory()
    layer = cached(backend, store)
    texts(layer, ask())
    key = layer._key(ask())
    assert key is not None
    store.put(key, b'{"text": 1}')
    assert texts(layer, ask()) == ["answer 1"]


def solved(backend: Backend, path: Path, seed: int = 0) -> tuple[Solution, list[Record]]:
    pipeline = Pipeline(
        models={"m": Given(backend=backend, cache=Cache(path=path))},
        strategy={"use": "self_consistency", "samples": 8},  # type: ignore[arg-type]  # parsed by the field
    )
    records: list[Record] = []

    async def main() -> Solution:
        async with open_solver(pipeline) as solver:
            return await solver.solve(pipeline.problem("q"), seed=seed, trace=Trace(records.append))

    return virtual_run(main), records


def test_a_second_run_is_a_replay_for_nothing(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return f"Answer: {Random(request.seed).choice('aab')}"

    backend = ScriptedBackend(script, latency=noise(1))
    first, _ = solved(backend, tmp_path / "c")
    again, records = solved(backend, tmp_path / "c")
    assert len(backend.requests) == first.usage.calls == again.usage.cached_calls
    assert [c.completion for c in again.candidates] == [c.completion for c in first.candidates]
    assert (again.usage.calls, again.usage.total_tokens, again.usage.critical_tokens) == (0, 0, 0)
    assert again.status == "ok"
    made = [record for record in records if record["event"] == "call"]
    assert all(record["cached"] and record["attempts"] == 0 for record in made)
    assert len(made) == again.usage.cached_calls


def test_another_seed_asks_anew(tmp_path: Path) -> None:
    backend = ScriptedBackend(lambda request: "Answer: a")
    for seed in (0, 1):
        assert solved(backend, tmp_path / "c", seed)[0].usage.cached_calls == 0


def test_whoever_waits_for_a_call_that_gave_up_early_makes_it_itself() -> None:
    backend = ScriptedBackend(lambda request: "late", latency=1.0)
    layer = cached(Moody([BackendUnavailable("busy", status=503)], backend, pause=1.0))
    heard: list[str] = []

    async def lead() -> None:
        with pytest.raises(BackendUnavailable):
            await layer.generate(ask(), Meter())

    async def follow() -> None:
        await anyio.sleep(0.5)
        heard.append((await layer.generate(ask(), Meter())).text)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lead)
            tasks.start_soon(follow)

    virtual_run(main)
    assert heard == ["late"]
