"""What every registered strategy must do. A new member is covered by being registered."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.roles import actor, play, seeded_latency
from tts import Budget, Capabilities, ConfigError, Pipeline, Solution, Strategy
from tts.backends import Backend, Given
from tts.errors import BackendUnavailable
from tts.layers import Account
from tts.messages import Request
from tts.solver import Solver, open_solver
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

NEEDED: dict[str, dict[str, object]] = {"rsa": {"loops": 3}, "selective_allocation": {"tau": 0.5}}
"""Settings without which a strategy is none, or dear."""

every_strategy = pytest.mark.parametrize("name", Strategy.names())


def made(name: str) -> Strategy:
    return Strategy.parse({"use": name, **NEEDED.get(name, {})})


def pipeline(
    name: str, backend: Backend, *, budget: Budget | None = None, concurrency: int = 64
) -> Pipeline:
    return Pipeline(
        models={"m": Given(backend=backend, concurrency=concurrency)},
        strategy=made(name),
        budget=budget or Budget(),
    )


def solve(name: str, backend: Backend, *, seed: int = 0, **settings: object) -> Solution:
    async def main() -> Solution:
        opened = pipeline(name, backend, **settings)  # type: ignore[arg-type]  # passed on
        async with open_solver(opened) as solver:
            return await solver.solve(opened.problem("What is 3 + 4?"), seed=seed)

    return virtual_run(main)


def comparable(solution: Solution) -> dict[str, object]:
    values = solution.model_dump(mode="json")
    del values["usage"]["wall_seconds"], values["usage"]["critical_seconds"]
    return {key: value for key, value in values.items() if key != "trace_id"}


@pytest.mark.long
@every_strategy
@given(seed=st.integers(0, 2**31), concurrency=st.integers(1, 64))
def test_same_seed_gives_the_same_result(name: str, seed: int, concurrency: int) -> None:
    alone = solve(name, actor(), seed=seed, concurrency=1)
    together = solve(name, actor(seeded_latency(0.1)), seed=seed, concurrency=concurrency)
    assert comparable(alone) == comparable(together)


@every_strategy
def test_another_seed_gives_other_texts(name: str) -> None:
    texts = {solve(name, actor(), seed=seed).model_dump_json() for seed in range(4)}
    assert len({json.loads(text)["text"] for text in texts}) > 1


@every_strategy
@given(
    tokens=st.integers(1, 60_000), calls=st.integers(1, 40), scale=st.sampled_from([0.0, 0.1, 3.0])
)
def test_budget_is_never_exceeded(name: str, tokens: int, calls: int, scale: float) -> None:
    budget = Budget(total_tokens=tokens, calls=calls, seconds=20.0)
    try:
        solution = solve(name, actor(seeded_latency(scale)), budget=budget)
    except ConfigError:
        assert tokens < 1024 + 40  # does not hold one call: its prompt and max_tokens
        return
    assert solution.usage.total_tokens <= tokens
    assert solution.usage.calls <= calls
    assert solution.status in {"ok", "budget_exhausted"}
    if solution.candidates:
        assert solution.answer is not None


async def _cancelled(solver: Solver, opened: Pipeline, after: float) -> list[Account]:
    seen: list[Account] = []

    async def watched() -> None:
        await solver.solve(opened.problem("q"))

    with anyio.move_on_after(after):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched)
            await anyio.sleep(after / 2)
            seen.extend(solver.accounts)
    return seen


@every_strategy
@given(after=st.floats(0.001, 4.0), concurrency=st.integers(1, 8))
def test_cancellation_leaves_nothing_behind(name: str, after: float, concurrency: int) -> None:
    backend = actor(seeded_latency(0.1))

    async def main() -> tuple[int, float]:
        opened = pipeline(name, backend, concurrency=concurrency)
        async with open_solver(opened) as solver:
            accounts = await _cancelled(solver, opened, after)
            promised = sum(account.promised.calls for account in accounts)
            return solver.in_flight, promised

    assert (*virtual_run(main), backend.active) == (0, 0, 0)


@every_strategy
@given(lost=st.sets(st.integers(1, 15)))
def test_failing_samples_degrade_and_never_kill(name: str, lost: set[int]) -> None:
    backend = FlakyBackend(
        actor(), fails=lambda request: request.role == "solve" and request.ticket in lost
    )
    solution = solve(name, backend)
    assert solution.answer is not None
    assert solution.status == "ok"
    drawn = {one.ticket for one in solution.candidates if one.text.startswith("solve ")}
    assert not drawn & lost


@every_strategy
def test_failures_are_counted(name: str) -> None:
    lost: set[str] = set()
    roles = made(name).roles()
    first = "solve" if "solve" in roles else roles[0]

    def fails(request: Request) -> bool:
        is_first = request.role == first and request.ticket == 0
        lost.update([request.span] if is_first else [])
        return is_first

    assert solve(name, FlakyBackend(actor(), fails)).failed_calls == len(lost) > 0


@every_strategy
def test_when_every_call_fails_there_is_one_backend_error(name: str) -> None:
    with pytest.raises(BackendUnavailable):
        solve(name, FlakyBackend(actor(), fails=lambda request: True))


@every_strategy
def test_result_round_trips_through_json(name: str) -> None:
    solution = solve(name, actor())
    assert Solution.model_validate_json(solution.model_dump_json()) == solution
    assert json.loads(json.dumps(solution.report()))["strategy"] == name


@every_strategy
def test_settings_round_trip(name: str) -> None:
    strategy = made(name)
    assert Strategy.parse(strategy.settings()) == strategy
    assert Strategy.parse(json.loads(json.dumps(strategy.settings()))) == strategy
    assert hash(made(name)) == hash(strategy)


@every_strategy
def test_schema_describes_every_setting(name: str) -> None:
    schema = Strategy.named(name).model_json_schema()
    assert set(schema.get("properties", {})) == set(Strategy.named(name).model_fields)
    assert all(field.get("description") for field in schema.get("properties", {}).values())


@every_strategy
def test_unknown_setting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no_such_setting"):
        Strategy.parse({"use": name, **NEEDED.get(name, {}), "no_such_setting": 1})


@every_strategy
def test_both_costs_are_told(name: str) -> None:
    usage = solve(name, actor()).usage
    assert 0 < usage.critical_completion_tokens < usage.critical_tokens <= usage.total_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@every_strategy
def test_model_without_the_needed_ability_is_refused_before_the_first_call(name: str) -> None:
    plain = ScriptedBackend(play, capabilities=Capabilities())
    if any(made(name).needs().values()):
        with pytest.raises(ConfigError, match="needs"):
            solve(name, plain)
        assert plain.requests == []
    else:
        assert solve(name, plain).answer is not None
