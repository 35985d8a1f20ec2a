from __future__ import annotations

import re

import pytest

import tts
from tts import Request, Solution
from tts.errors import BackendUnavailable, NoQuorum
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run


def model(answers: list[str | None], reply: str) -> ScriptedBackend:
    def script(request: Request) -> str:
        if request.role == "select":
            return reply
        answer = answers[request.ticket]
        return "no idea" if answer is None else f"Answer: {answer}"

    return ScriptedBackend(script)


def solve(backend: tts.Backend, **settings: object) -> Solution:
    strategy = {"use": "universal_self_consistency", "samples": 4, **settings}
    return virtual_run(lambda: tts.solve("q", strategy, model=backend))


def test_the_chosen_response_is_the_answer() -> None:
    backend = model(["1", "1", "1", "5"], "3")
    solution = solve(backend)
    asked = backend.requests[-1].messages[0].content
    third = re.findall(r"Answer: (\d)", asked)[2]
    assert solution.answer == third
    assert (solution.usage.calls, solution.samples) == (5, 4)


def test_two_calls_deep() -> None:
    backend = model(["1", "2", "3", "4"], "1")
    usage = solve(backend).usage
    first, last = backend.requests[0], backend.requests[-1]
    depth = backend.prompt_tokens(first) + 2 + backend.prompt_tokens(last) + 1
    assert usage.critical_tokens == depth


@pytest.mark.parametrize("reply", ["they are all consistent", "9", "1 or 2 or 3"])
def test_without_a_number_the_majority_decides(reply: str) -> None:
    solution = solve(model(["2", "5", None, "5"], reply))
    assert (solution.answer, solution.parse_failures) == ("5", 2)


def test_agreement_costs_no_call() -> None:
    backend = model(["5", "5", None, "5"], "1")
    assert (solve(backend).answer, len(backend.requests)) == ("5", 4)


def test_nothing_readable_is_no_answer() -> None:
    assert solve(model([None] * 4, "1")).status == "no_answer"


def test_responses_are_bounded() -> None:
    backend = ScriptedBackend(
        lambda r: "1" if r.role == "select" else "word " * 99 + f"Answer: {r.ticket}"
    )
    solve(backend, bound=8)
    assert backend.requests[-1].messages[0].content.count("word") <= 4 * 8


def test_a_budget_that_ends_before_the_choice_leaves_the_vote() -> None:
    backend = model(["2", "5", "5", "2"], "1")
    strategy = {"use": "universal_self_consistency", "samples": 4}
    solution = tts.solve_sync("q", strategy, model=backend, budget={"calls": 4})
    assert (solution.answer, solution.status) == ("2", "budget_exhausted")


def test_quorum_and_failures() -> None:
    backend = FlakyBackend(model(["1"] * 4, "1"), lambda r: r.role == "solve" and r.ticket < 2)
    assert solve(backend).answer == "1"
    with pytest.raises(NoQuorum):
        solve(backend, quorum=3)
    with pytest.raises(BackendUnavailable):
        solve(FlakyBackend(model(["1"] * 4, "1"), lambda request: True))
