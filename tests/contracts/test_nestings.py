"""Strategies inside strategies keep the contract that each keeps alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.roles import actor, seeded_latency
from tests.contracts.test_strategies import comparable
from tts import Budget, ConfigError, Pipeline, Solution, Strategy
from tts.backends import Backend, Given
from tts.errors import BackendUnavailable
from tts.solver import open_solver
from tts.testing import FlakyBackend, virtual_run

BORDA = {"use": "self_consistency", "samples": 4, "vote": "borda"}
THINK = {"use": "parallel_thinking", "paths": 3, "agreement": None}
PDR = {"use": "pdr", "rounds": [3, 2, 1]}
NESTINGS = {
    "outline of parallel thinking": {"use": "outline", "outlines": 2, "path": THINK},
    "outline of pdr": {"use": "outline", "outlines": 2, "path": PDR},
    "allocation of votes": {"use": "selective_allocation", "tau": 0.3, "system2": BORDA},
    "allocation of choices": {
        "use": "selective_allocation",
        "tau": 0.5,
        "system1": {"use": "universal_self_consistency", "samples": 2},
        "system2": {"use": "genselect", "samples": 4, "window": 2},
    },
    "three deep": {
        "use": "outline",
        "outlines": 2,
        "path": {"use": "outline", "outlines": 2, "path": BORDA},
    },
}
every_nesting = pytest.mark.parametrize("name", NESTINGS)


def solve(
    name: str,
    backend: Backend,
    *,
    seed: int = 0,
    concurrency: int = 64,
    budget: Budget | None = None,
) -> Solution:
    made = Pipeline(
        models={"m": Given(backend=backend, concurrency=concurrency)},
        strategy=Strategy.parse(NESTINGS[name]),
        budget=budget or Budget(),
    )

    async def main() -> Solution:
        async with open_solver(made) as solver:
            return await solver.solve(made.problem("What is 3 + 4?"), seed=seed)

    return virtual_run(main)


@every_nesting
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), concurrency=st.integers(1, 64))
def test_same_seed_gives_the_same_result(name: str, seed: int, concurrency: int) -> None:
    alone = solve(name, actor(), seed=seed, concurrency=1)
    together = solve(name, actor(seeded_latency(0.1)), seed=seed, concurrency=concurrency)
    assert comparable(alone) == comparable(together)
    assert alone.answer is not None


@every_nesting
@settings(max_examples=20)
@given(tokens=st.integers(1, 60_000), calls=st.integers(1, 40))
def test_budget_is_never_exceeded(name: str, tokens: int, calls: int) -> None:
    budget = Budget(total_tokens=tokens, calls=calls, seconds=20.0)
    try:
        solution = solve(name, actor(seeded_latency(0.1)), budget=budget)
    except ConfigError:
        assert tokens < 1024 + 80  # does not hold one call: its prompt and max_tokens
        return
    assert solution.usage.total_tokens <= tokens
    assert solution.usage.calls <= calls
    assert solution.status in {"ok", "no_answer", "budget_exhausted"}


@every_nesting
def test_every_call_is_told_of_once(name: str) -> None:
    backend = actor()
    usage = solve(name, backend).usage
    assert usage.calls == len(backend.requests)
    assert usage.prompt_tokens == sum(map(backend.prompt_tokens, backend.requests))
    assert 0 < usage.critical_tokens < usage.total_tokens


@every_nesting
def test_when_every_call_fails_there_is_one_backend_error(name: str) -> None:
    with pytest.raises(BackendUnavailable):
        solve(name, FlakyBackend(actor(), fails=lambda request: True))
