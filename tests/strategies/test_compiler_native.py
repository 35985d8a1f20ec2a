"""The compiler on a model that makes parallel function calls of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

import tts
from tests.strategies.test_failure_rows import Hands
from tts import ConfigError, Solution
from tts.backends import Capabilities, Given, Hedge, Meter, Price, Retry
from tts.errors import BackendUnavailable
from tts.messages import Completion, Request, ToolCall, Usage
from tts.strategies.compiler import Compiler
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

Calls = list[tuple[str, dict[str, Any]]]
ABLE = Capabilities(tools=True)


def calling(*calls: tuple[str, dict[str, Any]], **fields: Any) -> Completion:
    """Return a completion that makes these calls."""
    made = tuple(ToolCall(name=name, arguments=json.dumps(given)) for name, given in calls)
    usage = Usage(prompt_tokens=5, completion_tokens=7)
    return Completion(**{"text": "", "usage": usage, "model": "m", "tool_calls": made, **fields})


class Caller(ScriptedBackend):
    """Answers `call` by calls, in turn, and the other roles by texts, in turn."""

    def __init__(self, *rounds: Completion | str, join: Iterable[str] = ("Finish: done",)) -> None:
        turns = {"call": iter(rounds), "join": iter(join), "act": iter(["Finish: by hand"])}
        super().__init__(lambda request: next(turns[request.role]), capabilities=ABLE)

    def prompts(self, role: str) -> list[str]:
        return [one.messages[0].content for one in self.requests if one.role == role]


def solved(model: Any, **settings: Any) -> tuple[Solution, Hands]:
    hands = Hands()
    strategy = Compiler(tools=tuple(hands.tools()), planner="native", **settings)  # type: ignore[arg-type]  # parsed
    given = Given(backend=model, retry=Retry(attempts=1))
    return virtual_run(lambda: tts.solve("q?", strategy, model=given)), hands


def test_calls_run_together_and_are_joined() -> None:
    model = Caller(calling(("math", {"a": 1}), ("search", {"query": "x"}), ("math", {"a": "$1"})))
    solution, hands = solved(model)
    assert solution.answer == "done"
    assert hands.seen == [("math", 1), ("search", "x"), ("math", "<1>")]
    assert hands.times[0] == hands.times[1] < hands.times[2]
    [joined] = model.prompts("join")
    assert '1. math(a=1) = <1>\n2. search(query="x") = <x>\n3. math(a="$1") = <<1>>' in joined


def test_the_functions_are_offered_to_the_planner_alone() -> None:
    model = Caller(calling(("math", {"a": 1})))
    solved(model)
    offered = {request.role: request.tools for request in model.requests}
    assert [json.loads(tool)["name"] for tool in offered["call"]] == ["search", "math", "broken"]
    assert offered["join"] == ()


def test_a_replan_shows_what_is_there_and_goes_on() -> None:
    model = Caller(
        calling(("math", {"a": 1})),
        calling(("math", {"a": "$1"})),
        join=["Replan: once more", "Finish: 2"],
    )
    solution, hands = solved(model)
    assert (solution.answer, hands.seen) == ("2", [("math", 1), ("math", "<1>")])
    again = model.prompts("call")[1]
    assert "1. math(a=1) = <1>" in again
    assert "Missing: once more" in again
    assert "from 2 on" in again


def test_wrong_calls_are_shown_once_with_the_errors() -> None:
    model = Caller(
        calling(("nope", {}), ("math", {"a": 1}), ("math", {"c": 1})), calling(("math", {"a": 2}))
    )
    solution, hands = solved(model)
    assert (solution.answer, hands.seen) == ("done", [("math", 1), ("math", 2)])
    again = model.prompts("call")[1]
    assert "nope() - there is no function 'nope'" in again
    assert "it has no parameter 'c'" in again
    assert "2. math(a=1)\n" in again


def test_calls_that_stay_wrong_lead_to_calls_one_by_one() -> None:
    solution, _ = solved(Caller(calling(("nope", {})), calling(("nope", {}))))
    assert solution.answer == "by hand"


def test_a_model_that_answers_instead_is_joined() -> None:
    assert solved(Caller("It is 7.", join=["Finish: 7"]))[0].answer == "7"


def test_a_call_that_was_cut_off_is_not_made() -> None:
    cut = calling(("math", {"a": 1}), ("math", {"a": 2}), finish_reason="length")
    solution, hands = solved(Caller(cut, calling(("math", {"a": 3}))))
    assert (solution.answer, hands.seen) == ("done", [("math", 1), ("math", 3)])


def test_a_planner_that_fails_leads_to_calls_one_by_one() -> None:
    model = FlakyBackend(Caller(), lambda request: request.role == "call")
    assert solved(model)[0].answer == "by hand"


def test_when_every_call_fails_there_is_one_error() -> None:
    with pytest.raises(BackendUnavailable):
        solved(FlakyBackend(Caller(), lambda request: True))


def test_a_model_without_functions_is_refused_before_the_first_call() -> None:
    model = ScriptedBackend(lambda request: "x")
    with pytest.raises(ConfigError, match="needs"):
        solved(model)
    assert model.requests == []


def test_arguments_that_are_no_json_are_told() -> None:
    def script(request: Request) -> Completion | str:
        if request.role == "join":
            return "Finish: done"
        bad = ToolCall(name="math", arguments="{a: 1")
        made = (
            (bad,) if len(model.requests) == 1 else (ToolCall(name="math", arguments='{"a": 1}'),)
        )
        return calling(tool_calls=made)

    model = ScriptedBackend(script, capabilities=ABLE)
    solution, hands = solved(model)
    assert (solution.answer, hands.seen) == ("done", [("math", 1)])
    assert "no JSON" in model.requests[1].messages[0].content


class Dialler:
    """Says one call a second, and stays silent for a while at the end."""

    name = "dialler"
    capabilities = Capabilities(tools=True, stream=True)
    price = Price(input=0.0, output=0.0)

    def __init__(self, made: Completion, *, dies_after: int | None = None) -> None:
        self._made, self._dies_after = made, dies_after
        self.requests: list[Request] = []

    def prompt_tokens(self, request: Request) -> int:
        return 5

    async def generate(self, request: Request, meter: Meter) -> Completion:
        self.requests.append(request)
        meter.start()
        if request.role != "call":
            return Completion(text="Finish: done", usage=Usage(), model=self.name)
        if self._dies_after is not None and len(self.requests) > 1:
            return Completion(text="Enough.", usage=Usage(), model=self.name)
        for number, call in enumerate(self._made.tool_calls):
            if number == self._dies_after:
                raise BackendUnavailable("gone")
            await anyio.sleep(1)
            meter.hear_call(call)
        await anyio.sleep(100)
        return self._made


THREE = calling(("math", {"a": 1}), ("math", {"a": "$1"}), ("math", {"a": 3}))


@pytest.mark.parametrize("hedge", [None, Hedge()])
def test_a_call_starts_while_the_reply_is_still_made(hedge: Hedge | None) -> None:
    hands = Hands()
    strategy = Compiler(tools=tuple(hands.tools()), planner="native")  # type: ignore[arg-type]  # parsed
    given = Given(backend=Dialler(THREE), hedge=hedge)
    solution = virtual_run(lambda: tts.solve("q?", strategy, model=given))
    assert solution.graph is not None
    assert [step.started for step in solution.graph.steps] == pytest.approx([1.0, 2.0, 3.0])
    assert hands.seen == [("math", 1), ("math", "<1>"), ("math", 3)]
    assert solution.answer == "done"


def test_calls_of_a_reply_that_broke_off_are_made_once() -> None:
    model = Dialler(THREE, dies_after=2)
    solution, hands = solved(model)
    assert hands.seen == [("math", 1), ("math", "<1>")]
    assert (solution.answer, solution.failed_calls) == ("done", 1)
    again = [request.messages[0].content for request in model.requests if request.role == "call"][1]
    assert "the planner failed: gone" in again
    assert "from 3 on" in again


def test_of_a_reply_that_was_cut_off_what_was_complete_is_made() -> None:
    cut = THREE.model_copy(update={"finish_reason": "length"})
    _, hands = solved(Dialler(cut))
    assert hands.seen[:3] == [("math", 1), ("math", "<1>"), ("math", 3)]
