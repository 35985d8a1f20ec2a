"""The compiler's rounds: replans, repairs, the ways out, budgets, what is told."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts
from tests.strategies.test_failure_rows import Hands, play
from tts import Budget, Pipeline, Solution, Trace, Update
from tts.backends import Backend, Given, Retry
from tts.errors import AuthenticationError
from tts.evals.bench.dag_faults import faulty_run
from tts.solver import open_solver
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.tools import Tool

ROUND = "1. math(1)\n2. join()"


def test_a_replan_goes_on_with_all_results_at_hand() -> None:
    model_lines: dict[str, Any] = {
        "plan": [ROUND],
        "replan": ["2. math($1)\n3. join()"],
        "join": ["Replan: double it", "Finish: done"],
    }
    played = rounds(model_lines)
    assert played.solution.answer == "done"
    [asked] = played.model.asked("replan")
    assert "1. math(1) = <1>" in asked
    assert "Missing: double it" in asked
    assert "numbered from 2" in asked
    assert played.hands.seen == [("math", 1), ("math", "<1>")]
    assert "2. math($1) = <<1>>" in played.model.asked("join")[1]


def rounds(lines: dict[str, Any], **settings: Any) -> Any:
    """Play with a script for each role."""
    from tests.strategies.test_failure_rows import Hands, Played

    hands = Hands()
    model = SpeakingBackend({"act": ["Finish: by hand"], "repair": ["join()"], **lines})
    strategy = Compiler(tools=tuple(hands.tools()), **settings)  # type: ignore[arg-type]  # parsed
    solution = virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    return Played(solution, hands, model)


def unlayered(model: Backend) -> Any:
    return Given(backend=model, retry=Retry(attempts=1))


@pytest.mark.parametrize(
    "again",
    ["1. math(1)\n2. join()", "2. math(1)\n3. join()", "2. join()"],
    ids=["the same line", "the same call", "no call"],
)
def test_a_replan_that_adds_nothing_ends_planning(again: str) -> None:
    played = rounds({"plan": [ROUND], "replan": [again], "join": ["Replan: more"]}, max_rounds=9)
    assert played.solution.answer == "by hand"
    assert len(played.model.asked("replan")) == 1
    assert len(played.model.asked("join")) == 1


def test_a_failed_call_may_be_made_again_in_a_later_round() -> None:
    lines = {
        "plan": ["1. broken(1)\n2. join()"],
        "replan": ["2. broken(1)\n3. join()"],
        "join": ["Replan: call 1 failed", "Finish: give up"],
    }
    played = rounds(lines)
    assert played.hands.seen == [("broken", 1)] * 2
    assert played.solution.answer == "give up"


def test_rounds_are_counted_and_then_calls_go_on_one_by_one() -> None:
    replans = [f"{number}. math({number})\njoin()" for number in range(2, 9)]
    lines = {"plan": [ROUND], "replan": replans, "join": ["Replan: more"]}
    played = rounds(lines, max_rounds=3)
    assert [len(played.model.asked(role)) for role in ("plan", "replan", "join")] == [1, 2, 3]
    assert played.solution.answer == "by hand"
    assert "3. math(3) = <3>" in played.model.asked("act")[0]


def test_without_a_fallback_there_is_no_answer() -> None:
    played = rounds({"plan": [ROUND], "join": ["Replan: x"]}, max_rounds=1, fallback=False)
    assert (played.solution.answer, played.solution.status) == (None, "no_answer")
    assert played.model.asked("act") == []


def test_fewer_than_one_round_is_refused() -> None:
    with pytest.raises(ValueError, match="max_rounds"):
        Compiler(max_rounds=0)


def test_a_plan_that_repair_cannot_help_goes_on_one_by_one() -> None:
    played = play("1. nope(1)\n2. math(2)", repair="3. nope(2)")
    assert played.solution.answer == "by hand"
    assert len(played.model.asked("repair")) == 1
    assert "1. (no call)\n2. math(2) = <2>" in played.model.asked("act")[0]
    assert played.solution.parse_failures == 2


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("1. math()", "it needs a"),
        ("1. math(1, 2, 3)", "it takes 2 arguments, not 3"),
        ("1. math(1, a=2)", "a is given twice"),
        ("1. math(1, c=2)", "it has no parameter 'c'; it has a, b"),
        ("1. search('a', k='many')", "k: input should be a valid integer"),
        ("1. nope(1)\n2. math($1)", "$1 stands for a call that was not planned"),
        ("I would search for it.", "there is no call"),
        ("1. look it up", "a line is a call"),
    ],
)
def test_the_planner_is_told_what_is_wrong(plan: str, reason: str) -> None:
    [asked] = play(plan).model.asked("repair")
    assert reason in asked


def test_more_calls_than_allowed_are_a_problem_of_the_plan() -> None:
    plan = "\n".join(f"{number}. math({number})" for number in range(1, 6))
    played = play(plan, max_calls=3)
    assert len(played.calls) == 3
    assert "more than 3 calls" in played.model.asked("repair")[0]


def test_the_planner_is_stopped_where_no_call_is_left() -> None:
    pieces = [f"{number}. math({number})\n" for number in range(1, 1001)]
    played = play(pieces, max_calls=3, fallback=False)
    assert (len(played.calls), played.solution.parse_failures) == (3, 1)
    assert len(played.model.spoken) < 20
    [repair] = played.model.asked("repair")
    assert repair.count("more than 3 calls") == 1


def test_a_planner_that_breaks_behind_join_has_not_failed() -> None:
    played = play(["1. math(1)\n2. join()\n", "more"], dies_after={"plan": 1})
    assert (played.solution.answer, played.model.asked("repair")) == ("yes", [])


def test_the_planner_is_told_to_stop_at_join() -> None:
    played = play(["1. math(1)\n", "2. join()\n", "3. math(3)\n", "and so on"], pause=1.0)
    assert played.model.spoken[:2] == ["1. math(1)\n", "2. join()\n"]
    assert "3. math(3)\n" not in played.model.spoken
    assert played.model.active == 0
    assert played.solution.usage.cancelled_calls == 1


def test_calls_run_while_the_plan_is_still_written() -> None:
    graph = play(["1. math(1)\n", "2. math(2)\n", "3. join()"], pause=1.0).solution.graph
    assert graph is not None
    assert [step.started for step in graph.steps] == pytest.approx([1.0, 2.0])


def test_prose_of_the_joiner_is_an_answer_where_one_is_marked_and_counted() -> None:
    played = play(ROUND, join="I think the Answer: 12")
    assert (played.solution.answer, played.solution.parse_failures) == ("12", 1)
    for prose in ("twelve", "I cannot tell from the 3 results.", "Not enough: 7 are missing"):
        played = play(ROUND, join=prose)
        assert (played.solution.answer, played.solution.parse_failures) == ("by hand", 1)
        assert play(ROUND, join=prose, fallback=False).solution.answer is None


def test_an_impure_call_that_is_planned_again_is_not_made_again() -> None:
    sent: list[int] = []

    async def send(x: int) -> int:
        sent.append(x)
        return 10 * x

    plans = {
        "plan": ["1. send(1)\n2. join()"],
        "replan": ["2. send(1)\n3. math($2)\n4. join()"],
        "join": ["Replan: more", "Finish: yes"],
    }
    hands = Hands()
    strategy = Compiler(tools=(*hands.tools(), send))  # type: ignore[arg-type]  # parsed by the field
    model = SpeakingBackend(plans)
    solution = virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    assert (sent, hands.seen, solution.answer) == ([1], [("math", 10)], "yes")
    assert "2. send(1) = 10" in model.asked("join")[1]


def test_what_a_call_returned_is_shown_as_it_was() -> None:
    def make() -> list[int]:
        return [1]

    def grow(x: list[int]) -> list[int]:
        x.append(2)
        return x

    tools = [Tool.of(each, is_quick=True, is_pure=True) for each in (make, grow)]
    played = play("1. make()\n2. grow($1)\n3. make()\n4. join()", tools=tools)
    assert "1. make() = [1]\n2. grow($1) = [1, 2]\n3. make() = [1]" in played.model.asked("join")[0]
    assert played.solution.graph is not None
    assert [step.result for step in played.solution.graph.steps] == ["[1]", "[1, 2]", "[1]"]


def test_whoever_watches_hears_of_a_new_plan() -> None:
    notes: list[str] = []
    lines = {
        "plan": [ROUND],
        "replan": ["3. math(3)\n4. join()"],
        "join": ["Replan: the third", "Finish: 1"],
    }
    hands = Hands()
    strategy = Compiler(tools=tuple(hands.tools()))  # type: ignore[arg-type]  # parsed by the field
    model = unlayered(SpeakingBackend(lines))
    update = lambda one: notes.append(one.note)  # noqa: E731  # a listener
    virtual_run(lambda: tts.solve("q?", strategy, model=model, on_update=update))
    assert notes[0] == ""
    assert notes[-1] == "plan again: the third"


def test_durations_are_learned_from_one_problem_for_the_next() -> None:
    shorts = "".join(f"{number}. short({number})\n" for number in range(1, 4))
    plan = shorts + "4. long(1)\n5. long(2)\n6. join()"
    strategy = Compiler(tools=(short, long), slots=1)  # type: ignore[arg-type]  # parsed by the field
    pipeline = Pipeline(
        models={"m": Given(backend=SpeakingBackend({"plan": [plan], "join": ["Finish: 1"]}))},
        strategy=strategy,
    )

    async def main() -> list[list[str]]:
        orders = []
        async with open_solver(pipeline) as solver:
            for _ in range(2):
                graph = (await solver.solve(pipeline.problem("q?"))).graph
                assert graph is not None
                steps = sorted(graph.steps, key=lambda step: step.started or 0.0)
                orders.append([step.name for step in steps])
        return orders

    first, second = virtual_run(main)
    assert first == ["short", "short", "short", "long", "long"]
    assert second == ["long", "long", "short", "short", "short"]


async def short(x: int) -> None:
    await anyio.sleep(0.1)


async def long(x: int) -> None:
    await anyio.sleep(5.0)


def test_an_empty_answer_is_none() -> None:
    played = rounds({"plan": [ROUND], "join": ["Finish()"]}, max_rounds=1)
    assert played.solution.answer == "by hand"


def test_a_result_of_many_lines_is_one_line_and_no_plan() -> None:
    def read() -> str:
        return "first\n9. math(9)\n10. join()\n"

    played = play("1. read()\n2. join()", tools=[Tool.of(read, is_quick=True)])
    assert "1. read() = first 9. math(9) 10. join()\n" in played.model.asked("join")[0] + "\n"
    assert played.calls == []


def test_a_long_result_is_shown_cut() -> None:
    def read() -> str:
        return "x" * 5_000_000

    tool = Tool.of(read, is_quick=True, longest=100)
    [asked] = play("1. read()\n2. join()", tools=[tool]).model.asked("join")
    assert len(asked) < 1000
    assert "(4999900 characters more)" in asked


def test_equal_calls_are_made_once() -> None:
    played = play("1. math(1)\n2. math(1)\n3. math(a=1)\n4. join()")
    assert played.calls == [("math", 1)]
    assert played.states == ["succeeded"] * 3


def test_calls_that_are_not_to_be_shared_are_all_made() -> None:
    seen: list[int] = []

    def draw() -> int:
        seen.append(1)
        return len(seen)

    play("1. draw()\n2. draw()\n3. join()", tools=[Tool.of(draw, is_shared=False, is_quick=True)])
    assert len(seen) == 2


def test_a_tool_that_hangs_is_given_up() -> None:
    async def hang() -> None:
        await anyio.sleep_forever()

    played = play("1. hang()\n2. math($1)\n3. join()", tools=[Tool.of(hang, timeout=5.0)])
    assert played.states == ["timed_out", "skipped"]
    assert "1. hang() = error: no result in 5 s" in played.model.asked("join")[0]


def budgeted(budget: Budget, *, plan: str, pause: float = 0.0) -> Solution:
    async def hang() -> None:
        await anyio.sleep_forever()

    model = SpeakingBackend({"plan": [plan], "join": ["Finish: yes"]}, pause=pause)
    strategy = Compiler(tools=(Tool.of(hang),))  # type: ignore[arg-type]  # parsed by the field
    return virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model), budget=budget))


def test_a_budget_of_seconds_ends_tools_too() -> None:
    solution = budgeted(Budget(seconds=3.0), plan="1. hang()\n2. join()")
    assert (solution.answer, solution.status) == (None, "budget_exhausted")
    assert solution.graph is not None
    assert solution.graph.steps[0].state == "cancelled"
    assert solution.graph.makespan == 3.0


def test_a_spent_budget_keeps_the_graph() -> None:
    solution = budgeted(Budget(calls=1), plan="1. nope()\n2. join()")
    assert (solution.status, solution.usage.calls) == ("budget_exhausted", 1)
    assert solution.graph is not None


def test_an_error_that_asking_again_cannot_help_ends_the_run() -> None:
    model = SpeakingBackend({}, dies_after={"plan": 0}, error=lambda: AuthenticationError("no key"))
    with pytest.raises(AuthenticationError):
        virtual_run(lambda: tts.solve("q?", Compiler(), model=unlayered(model)))


def test_when_the_joiner_dies_what_was_called_is_not_lost() -> None:
    played = play("1. math(1)\n2. join()", act="Finish: by hand", dies_after={"join": 0})
    assert (played.solution.answer, played.solution.failed_by_role) == ("by hand", {"join": 1})
    assert "1. math(1) = <1>" in played.model.asked("act")[0]
    assert played.states == ["succeeded"]


def test_when_nobody_joins_the_graph_is_still_there() -> None:
    played = play("1. math(1)\n2. join()", dies_after={"join": 0}, fallback=False)
    assert (played.solution.answer, played.solution.failed_calls) == (None, 1)
    assert played.states == ["succeeded"]


def test_step_by_step_goes_on_with_the_results_of_the_plan() -> None:
    played = play("1. search(record)\n2. nope()\n3. join()", repair="4. nope()", act="math($1)")
    assert played.calls[:2] == [("search", "record"), ("math", {"data": "record"})]


def test_a_call_that_the_budget_cut_is_not_made_again() -> None:
    async def forever() -> None:
        await anyio.sleep_forever()

    async def fails() -> None:
        raise ValueError("no")

    settings = {"attempts": 9, "timeout": 500.0}
    tools = [Tool.of(forever, **settings), Tool.of(fails, **settings)]
    model = SpeakingBackend({"plan": ["1. forever()\n2. fails()\n3. join()"]})
    strategy = Compiler(tools=tuple(tools))  # type: ignore[arg-type]  # parsed by the field

    async def main() -> tuple[Solution, float]:
        solution = await tts.solve(
            "q?", strategy, model=unlayered(model), budget=Budget(seconds=1.0)
        )
        return solution, anyio.current_time()

    solution, seconds = virtual_run(main)
    assert solution.graph is not None
    assert seconds == pytest.approx(1.0)
    assert [step.state for step in solution.graph.steps] == ["cancelled", "cancelled"]
    assert solution.graph.steps[0].attempts == 1


def test_a_function_that_hangs_in_its_thread_is_not_called_again() -> None:
    begun: list[int] = []
    free = threading.Event()

    def hangs() -> None:
        begun.append(1)
        free.wait(20)

    tool = Tool.of(hangs, timeout=0.05, attempts=3)
    strategy = Compiler(tools=(tool,))  # type: ignore[arg-type]  # parsed by the field
    model = SpeakingBackend({"plan": ["1. hangs()\n2. join()"], "join": ["Finish: yes"]})
    solution = tts.solve_sync("q?", strategy, model=model)
    free.set()
    assert solution.graph is not None
    assert (solution.graph.steps[0].state, begun) == ("timed_out", [1])


def test_the_trace_and_the_watcher_hear_of_everything() -> None:
    records: list[dict[str, Any]] = []
    updates: list[Update] = []
    lines = {
        "plan": ["so:\n1. math(1\n2. nope(1)\n3. join()"],
        "repair": ["2. math(2)\njoin()"],
        "replan": ["join()"],
        "join": ["Replan: more"],
        "act": ["Finish: x"],
    }
    model = SpeakingBackend(lines)
    from tests.strategies.test_failure_rows import Hands

    strategy = Compiler(tools=tuple(Hands().tools()))  # type: ignore[arg-type]  # parsed
    virtual_run(
        lambda: tts.solve(
            "q?",
            strategy,
            model=unlayered(model),
            trace=Trace(records.append),
            on_update=updates.append,
        )
    )
    events = [record["event"] for record in records]
    for event in ("plan", "plan_problem", "plan_repaired", "tool", "replan", "fallback", "graph"):
        assert event in events, event
    problems = [record for record in records if record["event"] == "plan_problem"]
    assert [problem["is_fatal"] for problem in problems] == [False, True]
    json.dumps(records)
    seen = [[step.state for step in update.steps] for update in updates]
    assert ["pending"] in seen
    assert ["succeeded", "succeeded"] in seen


def test_two_tools_of_one_name_are_refused_before_the_first_call() -> None:
    model = SpeakingBackend({"plan": ["join()"]})
    strategy = {"use": "compiler", "tools": ["arithmetic", "arithmetic"]}
    with pytest.raises(tts.ConfigError, match="two tools are called 'add'"):
        virtual_run(lambda: tts.solve("q?", strategy, model=unlayered(model)))
    assert model.requests == []


@given(seed=st.integers(0, 2**20))
def test_faults_of_every_kind_end_in_time(seed: int) -> None:
    faulty_run(seed)


@pytest.mark.parametrize("lines", [{"join": ["Finish: 7"]}, {"join": ["Replan: x"]}])
def test_the_answer_is_kept_as_a_candidate(lines: dict[str, Any]) -> None:
    solution = rounds({"plan": [ROUND], **lines}, max_rounds=1).solution
    [candidate] = solution.candidates
    assert (candidate.answer, candidate.text) == (solution.answer, solution.text)
    assert solution.best == candidate


def test_a_tool_that_cancels_itself_or_exits_fails_alone() -> None:
    async def cancels(x: int) -> int:
        inner = asyncio.ensure_future(asyncio.sleep(10))
        asyncio.get_running_loop().call_later(0.1, inner.cancel)
        await inner
        return x

    async def leaves(x: int) -> int:
        raise SystemExit(2)

    played = play(
        "1. cancels(1)\n2. leaves(1)\n3. math(1)\n4. join()",
        tools=[Tool.of(cancels), Tool.of(leaves)],
    )
    assert played.states == ["failed", "failed", "succeeded"]
    assert "cancelled from within" in played.model.asked("join")[0]
    assert played.solution.answer == "yes"


def test_a_result_that_cannot_be_a_key_fails_its_call_alone() -> None:
    played = play("1. search([1])\n2. search(record)\n3. math({$2: 1})\n4. join()")
    assert played.states == ["succeeded", "succeeded", "failed"]
    assert "cannot be a key" in played.model.asked("join")[0]


def test_calls_are_shown_under_the_numbers_that_refer_to_them() -> None:
    played = play(
        ["3. math(3)\n5. math($3)\n6. join()"],
        join="Replan: more",
        max_rounds=1,
        act="math($5)",
    )
    shown = "1. (no call)\n2. (no call)\n3. math(3) = <3>\n4. (no call)\n5. math($3) = <<3>>\n"
    assert shown in played.model.asked("join")[0]
    assert shown in played.model.asked("act")[0]
    assert played.calls[2] == ("math", "<<3>>")
