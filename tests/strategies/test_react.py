from __future__ import annotations

from typing import Any

import pytest

import tts
from tests.strategies.scripts import acting
from tests.strategies.test_compiler import unlayered
from tests.strategies.test_failure_rows import Hands
from tts import Solution, Trace
from tts.errors import AuthenticationError, BackendUnavailable, ContextLengthExceeded
from tts.messages import Request
from tts.strategies.compiler import Compiler
from tts.strategies.react import React
from tts.testing import SpeakingBackend, virtual_run


def play(said: list[str], **settings: Any) -> tuple[Solution, Hands, SpeakingBackend]:
    hands, model = Hands(), SpeakingBackend({"act": said})
    strategy = React(tools=tuple(hands.tools()), **settings)  # type: ignore[arg-type]  # parsed
    solution = virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    return solution, hands, model


def test_calls_follow_one_another_until_it_finishes() -> None:
    solution, hands, model = play(["search(a)", "2. math(3, 4)", "Finish: <7>"])
    assert solution.answer == "<7>"
    assert hands.seen == [("search", "a"), ("math", (3, 4))]
    assert "1. search(a) = <a>\n2. math(3, 4) = <(3, 4)>" in model.asked("act")[2]


def test_an_answer_in_the_problems_format_is_one() -> None:
    assert play(["Answer: 12"])[0].answer == "12"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("nope(1)", "nope(1) = error: there is no function 'nope'"),
        ("broken(1)", "broken(1) = error: RuntimeError: no luck"),
        ("math()", "math() = error: 1. math(): it needs a"),
        ("well well", "well well = error: neither a call nor Finish"),
        ("", " = error: neither a call nor Finish"),
    ],
)
def test_mistakes_are_shown(said: str, shown: str) -> None:
    assert shown in play([said, "Finish: 1"])[2].asked("act")[1]


def test_steps_are_counted() -> None:
    solution, _, model = play(["math(1)"], max_steps=3)
    assert (solution.answer, solution.status) == (None, "no_answer")
    assert len(model.requests) == 3


def test_earlier_calls_are_shown() -> None:
    assert "1. math(1) = 2" in play(["Finish: 1"], history=("math(1) = 2",))[2].asked("act")[0]


def test_thoughts_stay_with_their_calls() -> None:
    said = ["Thought: look for a\nsearch(a)", "thought: well", "Finish: 7"]
    prompt = play(said)[2].asked("act")[2]
    assert "1. Thought: look for a\nsearch(a) = <a>\n2. thought: well = error: " in prompt


@pytest.mark.parametrize("error", [BackendUnavailable("gone"), AuthenticationError("no key")])
def test_when_every_call_fails_the_error_comes_out(error: Exception) -> None:
    model = SpeakingBackend({}, dies_after={"act": 0}, error=lambda: error)
    with pytest.raises(type(error)):
        virtual_run(lambda: tts.solve("q?", React(max_steps=3), model=unlayered(model)))
    assert len(model.requests) == (3 if error.retryable else 1)  # type: ignore[attr-defined]  # ours


def test_a_tool_that_asks_a_model_in_vain_is_a_result_like_any_other() -> None:
    async def expert() -> str:
        raise BackendUnavailable("the expert is gone")

    model = SpeakingBackend({"act": ["expert()", "Finish: 1"]})
    strategy = React(tools=(expert,))  # type: ignore[arg-type]  # parsed by the field
    solution = virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    assert solution.answer == "1"
    assert "expert() = error: the expert is gone" in model.asked("act")[1]


def test_calls_may_refer_to_earlier_results_by_number() -> None:
    solution, hands, _ = play(["search(record)", "math(${1.data})", "7. math($2)", "Finish: 1"])
    assert hands.seen == [("search", "record"), ("math", "record"), ("math", "<record>")]
    assert solution.answer == "1"


def test_a_reference_to_nothing_is_told() -> None:
    model = play(["math($4)", "Finish: 1"])[2]
    assert "= error: $4 stands for no earlier call" in model.asked("act")[1]


def test_earlier_results_can_be_referred_to() -> None:
    hands, model = Hands(), SpeakingBackend({"act": ["math($1)", "Finish: 1"]})
    strategy = React.model_validate(
        {"tools": tuple(hands.tools()), "history": ("f(1) = 2",)}, context={"results": {1: 2}}
    )
    virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    assert hands.seen == [("math", 2)]


def test_numbers_in_prose_are_no_answer() -> None:
    solution, _, _ = play(["I would add 3 and 4."], max_steps=2)
    assert (solution.answer, solution.parse_failures) == (None, 2)


def test_three_unusable_replies_in_a_row_are_enough() -> None:
    solution, _, model = play(["nope(1)", "math(1)", "nope(1)", "well", "math()", "Finish: 7"])
    assert (solution.answer, len(model.requests)) == (None, 5)
    assert solution.parse_failures == 4


def test_why_a_reply_could_not_be_used_is_kept_and_traced() -> None:
    seen: list[dict[str, Any]] = []
    model = SpeakingBackend({"act": ["nope(1)", "Finish: 7"]})
    strategy = React(tools=tuple(Hands().tools()))  # type: ignore[arg-type]  # parsed by the field
    trace = Trace(seen.append)
    work = lambda: tts.solve("q?", strategy, model=unlayered(model), trace=trace)  # noqa: E731
    solution = virtual_run(work)
    [reason] = solution.reasons
    assert reason.startswith("there is no function 'nope'; there are search, math, broken")
    assert [each["reason"] for each in seen if each["event"] == "unusable"] == [reason]


def too_long(request: Request) -> str:
    """Choose a call; have no room for its result."""
    if " = " in request.messages[0].content.splitlines()[-1] or "<5>" in str(request.messages):
        raise ContextLengthExceeded("prompt of 2624 tokens leaves no room in a context of 1024")
    return "1. math(5)\n2. join()" if request.role == "plan" else "math(5)"


@pytest.mark.parametrize(
    ("strategy", "role"), [(React, "act"), (Compiler, "join")], ids=["react", "compiler"]
)
def test_results_that_no_prompt_holds_lose_nothing(strategy: Any, role: str) -> None:
    hands, model = Hands(), acting(act=too_long, plan=too_long, join=too_long)
    asking = strategy(tools=tuple(hands.tools()))
    solution = virtual_run(lambda: tts.solve("q?", asking, model=unlayered(model)))
    assert (solution.answer, solution.status) == (None, "no_answer")
    assert hands.seen == [("math", 5)]
    assert solution.usage.total_tokens > 0
    [reason] = solution.reasons
    assert reason.startswith(f"role '{role}': prompt of 2624 tokens leaves no room")
    assert "`longest`" in reason
    if strategy is Compiler:
        assert solution.graph is not None
        assert [step.result for step in solution.graph.steps] == ["<5>"]


def test_a_problem_that_no_prompt_holds_names_the_role() -> None:
    def full(request: Request) -> str:
        raise ContextLengthExceeded("no room")

    with pytest.raises(ContextLengthExceeded, match="role 'act': no room; shorten the problem"):
        virtual_run(lambda: tts.solve("q?", React(), model=unlayered(acting(act=full))))


def test_failed_functions_are_counted() -> None:
    solution, _, _ = play(["broken(1)", "broken(2)", "math(1)", "Finish: 1 failed"])
    assert (solution.status, solution.failed_functions) == ("ok", {"broken": 2})
