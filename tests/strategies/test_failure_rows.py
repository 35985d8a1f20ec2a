"""The ways in which the published planner fails, each with what happens here.

The rows are those of a study of SqueezeAILab/LLMCompiler at a00c9d3; the row's number stands first.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

import tts
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.tools import Tool

Line = str | Sequence[str]
PATIENCE = 300.0


@dataclass
class Hands:
    """Tools that note what they are called with."""

    seen: list[tuple[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def tools(self) -> list[Tool]:
        async def search(query: Any, k: int = 1) -> Any:
            return await self._note("search", query if k == 1 else (query, k))

        async def math(a: Any, b: Any = None) -> Any:
            return await self._note("math", a if b is None else (a, b))

        async def broken(x: Any) -> Any:
            self.seen.append(("broken", x))
            raise RuntimeError("no luck")

        return [Tool.of(each) for each in (search, math, broken)]

    async def _note(self, name: str, value: Any) -> Any:
        self.seen.append((name, value))
        self.times.append(anyio.current_time())
        await anyio.sleep(0.1)
        return {"data": value} if name == "search" and value == "record" else f"<{value}>"


@dataclass
class Played:
    solution: tts.Solution
    hands: Hands
    model: SpeakingBackend

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return self.hands.seen

    @property
    def states(self) -> list[str]:
        assert self.solution.graph is not None
        return [step.state for step in self.solution.graph.steps]


def play(
    plan: Line | Sequence[Line],
    *,
    join: Line = "Finish: yes",
    repair: Line = "join()",
    act: Line = "Finish: by hand",
    tools: Sequence[Tool] = (),
    pause: float = 0.0,
    dies_after: dict[str, int] | None = None,
    **settings: Any,
) -> Played:
    hands = Hands()
    lines = {"plan": [plan], "replan": [plan], "repair": [repair], "join": [join], "act": [act]}
    model = SpeakingBackend(lines, pause=pause, dies_after=dies_after)  # type: ignore[arg-type]  # a Line
    strategy = Compiler(tools=(*hands.tools(), *tools), **settings)  # type: ignore[arg-type]  # parsed

    async def main() -> tts.Solution:
        with anyio.fail_after(PATIENCE):
            return await tts.solve("q?", strategy, model=_unlayered(model))

    return Played(virtual_run(main), hands, model)


def _unlayered(model: SpeakingBackend) -> Any:
    from tts.backends import Given, Retry

    return Given(backend=model, retry=Retry(attempts=1))


def test_1_a_tool_raises() -> None:
    played = play("1. broken(1)\n2. math($1)\n3. math(5)\n4. join()")
    assert played.states == ["failed", "skipped", "succeeded"]
    [shown] = played.model.asked("join")
    assert "1. broken(1) = error: RuntimeError: no luck" in shown
    assert "2. math($1) = error: not run, since 1 failed" in shown
    assert played.solution.answer == "yes"


def test_2_the_planner_dies_in_mid_stream() -> None:
    pieces = ["1. math(1)\n", "2. math(2)\n", "3. ma"]
    played = play(pieces, dies_after={"plan": 2}, repair="3. math(3)\n4. join()")
    assert played.calls == [("math", 1), ("math", 2), ("math", 3)]
    assert "the planner failed: gone" in played.model.asked("repair")[0]
    assert (played.solution.answer, played.solution.failed_calls) == ("yes", 1)


@pytest.mark.parametrize("pieces", [1, 40])
def test_3_an_unknown_tool(pieces: int) -> None:
    text = "1. mth(1)\n2. math(2)\n3. join()"
    played = play(text if pieces == 1 else list(text), repair="1. math(1)\n4. join()")
    assert sorted(played.calls) == [("math", 1), ("math", 2)]
    assert "there is no function 'mth'; there are search, math" in played.model.asked("repair")[0]


@dataclass(frozen=True)
class Row:
    """A plan that comes to its calls; `shown` is what the joiner sees of them."""

    plan: Line
    calls: Sequence[tuple[str, Any]]
    shown: str = ""


ROWS = {
    "4 a missing id": Row("1. math(1)\n3. math($1)\n4. join()", [("math", 1), ("math", "<1>")]),
    "4 not from one": Row("7. math(1)\n9. math($7)\n10. join()", [("math", 1), ("math", "<1>")]),
    "5 bare references": Row(
        "1. search(a)\n2. math(3)\n3. math($1, $2)",
        [("search", "a"), ("math", 3), ("math", ("<a>", "<3>"))],
    ),
    "6 a list": Row('1. search(["a", "b"])\n2. join()', [("search", ["a", "b"])]),
    "7 a keyword": Row('1. search(query="x", k=3)\n2. join()', [("search", ("x", 3))]),
    "8 several lines": Row(
        '1. search(\n  "x",\n  k=2,\n)\n2. math($1)\n3. join()',
        [("search", ("x", 2)), ("math", "<('x', 2)>")],
    ),
    "9 a comment": Row(
        '1. search("x") # first (of two)\n2. join()', [("search", "x")], '1. search("x") = <x>'
    ),
    "10 no parenthesis": Row(
        '1. search("x"\n2. math("$1 / 2"\n3. join()', [("search", "x"), ("math", "<x> / 2")]
    ),
    "11 money": Row(
        '1. math(1)\n5. math(5)\n6. search("$5 million, $10 and $1.50 at ${1}")\n7. join()',
        [("math", 1), ("math", 5), ("search", "$5 million, $10 and $1.50 at <1>")],
    ),
    "12 a result with a reference": Row(
        '1. math(7)\n2. search("see $$1")\n3. math("$2 and $1")\n4. join()',
        [("math", 7), ("search", "see $1"), ("math", "<see $1> and <7>")],
    ),
    "13 a dictionary": Row(
        '1. math(7)\n2. search({"q": "$1", "r": [$1]})\n3. join()',
        [("math", 7), ("search", {"q": "<7>", "r": ["<7>"]})],
    ),
    "13 a part of a result": Row(
        "1. search(record)\n2. math(${1.data})\n3. join()",
        [("search", "record"), ("math", "record")],
    ),
    "14 all in one piece": Row(
        ["1. math(1)\n2. math(2)\n3. math(3)\n4. math(4)\n5. join()\n"],
        [("math", 1), ("math", 2), ("math", 3), ("math", 4)],
    ),
    "14 two lines a piece": Row(
        ["1. math(1)\n2. math(2)\n", "3. math(3)\n4. join()\n"],
        [("math", 1), ("math", 2), ("math", 3)],
    ),
    "15 a blank before": Row(
        ['1. search("New', ' York")\n', "2. join()"], [("search", "New York")]
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_4_to_15_plans_that_come_to_their_calls(row: Row) -> None:
    played = play(row.plan)
    assert played.calls == row.calls
    assert set(played.states) == {"succeeded"}
    assert row.shown in played.model.asked("join")[0]
    assert (played.solution.answer, played.solution.parse_failures) == ("yes", 0)
    assert played.model.asked("repair") == []


def test_every_row_has_its_test() -> None:
    singles = {int(one) for name in globals() for one in re.findall(r"^test_(\d+)_(?!to_)", name)}
    rows = {int(name.split()[0]) for name in ROWS}
    assert singles | rows | {22} == set(range(1, 23))  # 21 and 22 share theirs


def test_16_a_dependent_does_not_wait_for_the_silent_planner() -> None:
    played = play(["1. math(1)\n2. math($1)\n", "3. math(3)\n4. join()"], pause=10.0)
    graph = played.solution.graph
    assert graph is not None
    assert graph.steps[1].started == pytest.approx(10.1)
    assert graph.steps[2].started == pytest.approx(20.0)


def test_17_five_hundred_calls_are_held_back() -> None:
    plan = "".join(f"{number}. math({number})\n" for number in range(1, 501)) + "501. join()"
    played = play(plan, slots=20, max_calls=500)
    graph = played.solution.graph
    assert graph is not None
    assert graph.makespan == pytest.approx(500 / 20 * 0.1)
    assert len(played.calls) == 500


def test_18_a_chain_has_no_polling_between_its_calls() -> None:
    lines = ["1. math(0)", *(f"{n}. math(${n - 1})" for n in range(2, 101)), "101. join()"]
    graph = play("\n".join(lines)).solution.graph
    assert graph is not None
    assert graph.makespan == pytest.approx(100 * 0.1)
    assert graph.overhead == pytest.approx(0.0, abs=1e-9)


def test_19_tools_that_block_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)

    def wait(name: str) -> int:
        return both.wait()  # forever, if the other were not called too

    strategy = Compiler(tools=(Tool.of(wait),))  # type: ignore[arg-type]  # parsed by the field
    model = SpeakingBackend(
        {"plan": ["1. wait(a)\n2. wait(b)\n3. join()"], "join": ["Finish: yes"]}
    )
    solution = tts.solve_sync("q?", strategy, model=model)
    assert solution.graph is not None
    assert [step.state for step in solution.graph.steps] == ["succeeded", "succeeded"]


def test_20_an_id_that_is_taken() -> None:
    played = play("1. math(1)\n1. math(2)\n2. join()", repair="2. math(2)\n3. join()")
    assert played.calls == [("math", 1), ("math", 2)]
    assert "the id 1 is taken: go on from 2" in played.model.asked("repair")[0]


@pytest.mark.parametrize(
    ("join", "answer"),
    [
        ("Thought: x\nAction: Finish(First for Women (magazine))", "First for Women (magazine)"),
        ("Action: Finish(Replanting trees)", "Replanting trees"),
    ],
    ids=["21 a parenthesis", "22 the word Replan"],
)
def test_21_22_answers_of_the_joiner(join: str, answer: str) -> None:
    played = play("1. math(1)\n2. join()", join=join)
    assert played.solution.answer == answer
    assert len(played.model.asked("join")) == 1
