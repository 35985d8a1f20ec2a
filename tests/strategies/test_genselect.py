from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts
from tts import Request, Solution
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run


def model(answers: list[str | None], *, is_able: bool = True) -> ScriptedBackend:
    """A judge that likes large answers, or says nothing."""

    def script(request: Request) -> str:
        if request.role == "select":
            numbers = [int(n) for n in re.findall(r"Answer: (\d+)", request.messages[0].content)]
            return str(numbers.index(max(numbers)) + 1) if is_able else "hard to say"
        answer = answers[request.ticket]
        return "no idea" if answer is None else f"Answer: {answer}"

    return ScriptedBackend(script)


def solve(backend: tts.Backend, samples: int, *, seed: int = 0, **settings: object) -> Solution:
    strategy = {"use": "genselect", "samples": samples, **settings}
    return virtual_run(lambda: tts.solve("q", strategy, model=backend, seed=seed))


@given(st.permutations(list(range(9))), st.integers(2, 9), st.integers(0, 99))
def test_the_judge_finds_the_best_among_many(order: list[int], window: int, seed: int) -> None:
    backend = model([str(each) for each in order])
    solution = solve(backend, 9, window=window, seed=seed)
    assert (solution.answer, solution.samples) == ("8", 9)
    assert solution.usage.calls == len(backend.requests)


def test_windows_of_8_make_three_judgements_of_16() -> None:
    backend = model([str(at) for at in range(16)])
    solve(backend, 16)
    assert sum(request.role == "select" for request in backend.requests) == 3


def test_one_window_is_one_call() -> None:
    backend = model([str(at) for at in range(4)])
    solve(backend, 4, window=4)
    assert [request.role for request in backend.requests].count("select") == 1


@pytest.mark.parametrize("seed", range(4))
def test_windows_whose_judge_cannot_be_read_go_to_their_majority(seed: int) -> None:
    solution = solve(model(["1", "1", "1", "2"], is_able=False), 4, window=4, seed=seed)
    assert (solution.answer, solution.parse_failures) == ("1", 1)


def test_judges_that_fail_never_kill() -> None:
    backend = FlakyBackend(model([str(at) for at in range(16)]), lambda r: r.role == "select")
    solution = solve(backend, 16)
    assert solution.status == "ok"
    assert solution.failed_calls == 3


def test_agreement_costs_no_judgement() -> None:
    backend = model(["5"] * 16)
    assert (solve(backend, 16).answer, len(backend.requests)) == ("5", 16)


def test_no_answer_and_one_answer() -> None:
    assert solve(model([None] * 3), 3).status == "no_answer"
    assert solve(model([None, "4", None]), 3).answer == "4"


def test_a_budget_that_ends_mid_tournament_leaves_the_vote() -> None:
    backend = model([*(str(at) for at in range(14)), "0", "0"])
    strategy = {"use": "genselect", "window": 4}
    solution = tts.solve_sync("q", strategy, model=backend, budget={"calls": 18})
    assert (solution.answer, solution.status, solution.samples) == ("0", "budget_exhausted", 16)
