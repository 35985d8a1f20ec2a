from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies.scripts import acting, answering_in_turn, asked, roles, solved
from tts import Budget
from tts.errors import BackendUnavailable
from tts.testing import FlakyBackend


def test_each_round_sees_the_last_solution_only() -> None:
    backend = acting(solve="Answer: 1", merge=answering_in_turn("2", "3"))
    solution = solved(backend, "sequential_refine", rounds=3)
    assert (solution.answer, solution.samples) == ("3", 3)
    _, last = asked(backend, "merge")
    assert "Answer: 2" in last
    assert "Answer: 1" not in last


@given(rounds=st.integers(1, 6))
def test_all_calls_stand_in_a_row(rounds: int) -> None:
    backend = acting(solve="Answer: 1", merge="Answer: 2")
    usage = solved(backend, "sequential_refine", rounds=rounds).usage
    assert usage.calls == rounds
    assert usage.critical_tokens == usage.total_tokens


def test_critique_comes_between_and_is_shown() -> None:
    backend = acting(solve="Answer: 1", critique="line 1 is wrong", refine="Answer: 2")
    assert solved(backend, "sequential_refine", rounds=2, critique=True).answer == "2"
    assert roles(backend) == ["solve", "critique", "refine"]
    assert "Answer: 1\n\nline 1 is wrong" in asked(backend, "refine")[0]


def test_early_exit_ends_with_a_repeated_answer() -> None:
    backend = acting(solve="Answer: 1", merge=answering_in_turn("2", "2.0", "3"))
    assert solved(backend, "sequential_refine", rounds=4, early_exit=True).usage.calls == 3


@pytest.mark.parametrize("merge", ["no idea", "", "<think>Answer: 9"])
def test_a_round_that_cannot_be_read_is_lost(merge: str) -> None:
    backend = acting(solve="Answer: 1", merge=merge)
    solution = solved(backend, "sequential_refine")
    assert (solution.answer, solution.parse_failures) == ("1", 2)


def test_failing_rounds_are_lost_and_all_failing_is_an_error() -> None:
    backend = acting(solve="Answer: 1", merge="Answer: 2")
    lost = FlakyBackend(backend, lambda request: request.ticket in {0, 2})
    assert solved(lost, "sequential_refine", rounds=4).answer == "2"
    with pytest.raises(BackendUnavailable):
        solved(FlakyBackend(backend, lambda request: True), "sequential_refine")


def test_nothing_readable_is_no_answer() -> None:
    assert solved(acting(solve="?"), "sequential_refine").status == "no_answer"


@pytest.mark.parametrize("calls", [1, 2])
def test_budget_keeps_the_best_so_far(calls: int) -> None:
    backend = acting(solve="Answer: 1", merge="Answer: 1")
    solution = solved(backend, "sequential_refine", budget={"calls": calls})
    assert (solution.answer, solution.status) == ("1", "budget_exhausted")


@pytest.mark.parametrize(
    ("calls", "critique", "answer"),
    [(1, False, "1"), (2, False, "2"), (2, True, "1"), (3, True, "2"), (4, True, "2")],
)
def test_the_last_solution_stands_when_the_budget_ends(
    calls: int, critique: bool, answer: str
) -> None:
    later = answering_in_turn("2", "3")
    backend = acting(solve="Answer: 1", merge=later, critique="line 1 is wrong", refine=later)
    solution = solved(backend, "sequential_refine", critique=critique, budget={"calls": calls})
    assert (solution.answer, solution.status) == (answer, "budget_exhausted")


def test_bound_holds_for_the_solution_that_is_shown() -> None:
    backend = acting(solve="step " * 30 + "Answer: 1", merge="Answer: 2")
    solved(backend, "sequential_refine", rounds=2, bound=4)
    assert "Attempt 1:\n[...] step Answer: 1\n" in asked(backend, "merge")[0]


def test_the_refined_solution_stands_when_the_budget_ends() -> None:
    backend = acting(solve="Answer: 1", merge=answering_in_turn("2", "3"))
    solution = solved(backend, "sequential_refine", rounds=3, budget=Budget(calls=2))
    assert (solution.answer, solution.status) == ("2", "budget_exhausted")
