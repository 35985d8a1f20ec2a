from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies.scripts import SURE, acting, answering_in_turn, asked, in_turn, roles, solved
from tts import Request
from tts.testing import FlakyBackend


def differing(request: Request) -> str:
    return f"Answer: {request.seed}"


@given(n=st.integers(1, 6), k=st.integers(1, 8), loops=st.integers(1, 4))
def test_calls_are_n_times_t_and_prompts_hold_k(n: int, k: int, loops: int) -> None:
    backend = acting(solve=differing, merge=differing)
    solution = solved(backend, "rsa", population=n, subset=k, loops=loops)
    assert roles(backend) == ["solve"] * n + ["merge"] * n * (loops - 1)
    assert solution.samples == n * loops
    shown = {prompt.count("Attempt ") for prompt in asked(backend, "merge")}
    assert shown <= {min(k, n)}


def test_the_last_population_votes() -> None:
    merged = answering_in_turn("1", "1", "1", "5", "6", "6")
    backend = acting(solve=differing, merge=merged)
    strategy: dict[str, Any] = {"population": 3, "loops": 3, "early_exit": False}
    assert solved(backend, "rsa", **strategy).answer == "6"


def test_a_random_member_may_answer_instead() -> None:
    def member(seed: int) -> str | None:
        backend = acting(solve=answering_in_turn("1", "1", "2"))
        return solved(backend, "rsa", population=3, loops=1, final="random", seed=seed).answer

    assert {member(seed) for seed in range(12)} == {"1", "2"}


def test_agreement_ends_the_loops_unless_opted_out() -> None:
    backend = acting(solve="Answer: 7", merge="Answer: 8")
    assert solved(backend, "rsa", population=3).usage.calls == 3
    stubborn = solved(backend, "rsa", population=3, loops=2, early_exit=False)
    assert (stubborn.answer, stubborn.usage.calls) == ("8", 6)


def test_members_without_an_answer_leave() -> None:
    backend = acting(solve=["Answer: 1", "?", "Answer: 2"], merge="Answer: 3")
    solved(backend, "rsa", population=3, subset=3, loops=2)
    assert all("Attempt 3:" not in prompt for prompt in asked(backend, "merge"))


@pytest.mark.parametrize("merge", ["?", ""])
def test_when_no_merge_can_be_read_the_population_before_votes(merge: str) -> None:
    backend = acting(solve=answering_in_turn("1", "2", "2"), merge=merge)
    assert solved(backend, "rsa", population=3, loops=4).answer == "2"
    assert roles(backend).count("merge") == 3


def test_when_every_merge_fails_the_population_before_votes() -> None:
    inner = acting(solve=answering_in_turn("1", "2", "2"))
    backend = FlakyBackend(inner, lambda request: request.role == "merge")
    assert solved(backend, "rsa", population=3, loops=2).answer == "2"


def test_all_unreadable_is_no_answer() -> None:
    assert solved(acting(solve="?"), "rsa", population=2).status == "no_answer"


@pytest.mark.parametrize("calls", [1, 3, 4, 5, 7])
def test_budget_that_ends_in_a_loop_keeps_the_best_so_far(calls: int) -> None:
    backend = acting(solve=differing, merge=differing)
    strategy: dict[str, Any] = {"population": 3, "loops": 3, "budget": {"calls": calls}}
    solution = solved(backend, "rsa", **strategy)
    assert solution.answer is not None
    assert solution.status == "budget_exhausted"


def test_a_loop_that_the_budget_ends_does_not_replace_the_population() -> None:
    backend = acting(solve=answering_in_turn("1", "1", "1", "2"), merge="Answer: 2")
    strategy: dict[str, Any] = {"population": 4, "loops": 3}
    assert solved(backend, "rsa", **strategy, budget={"calls": 5}).answer == "1"


def test_depth_is_one_call_a_loop() -> None:
    backend = acting(solve=differing, merge=differing)
    usage = solved(backend, "rsa", population=4, subset=2, loops=5).usage
    first, later = (len(asked(backend, role)[0].split()) + 2 for role in ("solve", "merge"))
    assert usage.critical_tokens == first + 4 * later


@pytest.mark.parametrize("vote", ["confidence", {"use": "borda", "by": "confidence", "power": 3.0}])
def test_the_last_population_is_weighed_by_the_vote(vote: Any) -> None:
    settings: dict[str, Any] = {"population": 3, "loops": 1}
    plain = solved(acting(solve=in_turn(*SURE)), "rsa", **settings)
    weighed = solved(acting(solve=in_turn(*SURE)), "rsa", **settings, vote=vote)
    assert (plain.answer, weighed.answer) == ("1", "2")
