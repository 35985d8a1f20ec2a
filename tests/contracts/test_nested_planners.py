"""Strategies inside strategies keep the contract of strategies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.roles import actor, seeded_latency
from tests.contracts.test_strategies import comparable
from tests.strategies.scripts import solved
from tts import Budget, Pipeline, Problem, Strategy
from tts.backends import Given
from tts.errors import BackendUnavailable
from tts.solver import open_solver
from tts.testing import FlakyBackend, virtual_run

_PDR = {"use": "pdr", "rounds": [3, 2, 1], "workspace": "random_k"}
_VOTE = {"use": "self_consistency", "samples": 5}
NESTINGS: dict[str, dict[str, Any]] = {
    "outline of pdr": {"use": "outline", "outlines": 2, "path": _PDR},
    "outline of votes": {"use": "outline", "path": _VOTE, "aggregate": "merge"},
    "outline of outlines of refinement": {
        "use": "outline",
        "outlines": 2,
        "path": {"use": "outline", "outlines": 2, "path": "sequential_refine"},
    },
    "allocation of one to votes": {
        "use": "selective_allocation",
        "tau": 0.4,
        "system1": {"use": "self_consistency", "samples": 1},
        "system2": _VOTE,
    },
    "allocation to outlines": {
        "use": "selective_allocation",
        "tau": 0.4,
        "difficulty": "in_context",
        "system2": {"use": "outline", "path": {"use": "rsa", "population": 3, "loops": 2}},
    },
}

every_nesting = pytest.mark.parametrize("chosen", NESTINGS.values(), ids=NESTINGS)


@pytest.mark.long
@every_nesting
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), concurrency=st.integers(1, 64))
def test_same_seed_gives_the_same_result(
    chosen: dict[str, Any], seed: int, concurrency: int
) -> None:
    async def main(scale: float, permits: int) -> dict[str, object]:
        given_ = Given(backend=actor(seeded_latency(scale)), concurrency=permits)
        pipeline = Pipeline(models={"m": given_}, strategy=Strategy.parse(chosen))
        async with open_solver(pipeline) as solver:
            return comparable(await solver.solve(Problem(text="What is 3 + 4?"), seed=seed))

    alone = virtual_run(lambda: main(0.0, 1))
    assert alone == virtual_run(lambda: main(0.1, concurrency))


@every_nesting
@settings(max_examples=15)
@given(calls=st.integers(1, 60))
def test_budget_is_never_exceeded_and_what_was_found_is_answered(
    chosen: dict[str, Any], calls: int
) -> None:
    rest = {key: value for key, value in chosen.items() if key != "use"}
    solution = solved(actor(), str(chosen["use"]), budget=Budget(calls=calls), **rest)
    assert solution.usage.calls <= calls
    assert solution.status in {"ok", "budget_exhausted"}
    assert not solution.candidates or solution.answer is not None


@every_nesting
def test_when_every_call_fails_there_is_one_backend_error(chosen: dict[str, Any]) -> None:
    rest = {key: value for key, value in chosen.items() if key != "use"}
    with pytest.raises(BackendUnavailable):
        solved(FlakyBackend(actor(), lambda request: True), str(chosen["use"]), **rest)


@every_nesting
def test_settings_round_trip(chosen: dict[str, Any]) -> None:
    strategy = Strategy.parse(chosen)
    assert Strategy.parse(strategy.settings()) == strategy
