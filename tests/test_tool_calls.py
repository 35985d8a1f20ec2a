"""Tools that ask models: what they spend is the run's, and they are no strangers to it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import tts
from tests.play import play, rig
from tts import Budget, Pipeline, Run, Solution, Trace
from tts.backends import Given, Retry
from tts.errors import BackendUnavailable, BudgetExceeded, ConfigError, ToolError
from tts.layers import Record
from tts.messages import Request
from tts.solver import open_solver
from tts.strategies.compiler import Compiler
from tts.strategies.react import React
from tts.tasks import for_each
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run
from tts.tools import Tool, tool

PLAN = '1. tell("ab")\n2. tell("cd")\n3. tell("$1 $2")\n4. join()'


@tool(roles=("teller",))
async def tell(text: str, run: Run) -> str:
    """Tell of a text."""
    said = await run.generate(f"Tell of: {text}", role="teller")
    return said.text


def model(plan: str = PLAN, **said: str) -> ScriptedBackend:
    lines = {"plan": plan, "join": "Finish: all", "act": 'tell("ab")', **said}

    def script(request: Request) -> str:
        text = request.messages[-1].content
        return lines.get(request.role) or f"<{text.removeprefix('Tell of: ')}>"

    return ScriptedBackend(script, latency=1.0)


def solved(
    backend: Any, strategy: Any, *, budget: Budget | None = None, roles: Any = None, **models: Any
) -> tuple[Solution, list[Record]]:
    records: list[Record] = []
    given = {"m": Given(backend=backend, retry=Retry(attempts=1)), **models}
    pipeline = Pipeline(
        models=given, strategy=strategy, budget=budget or Budget(), roles=roles or {}
    )

    async def main() -> Solution:
        async with open_solver(pipeline) as solver:
            return await solver.solve(pipeline.problem("q?"), trace=Trace(records.append))

    return virtual_run(main), records


def compiler(*tools: Tool, **settings: Any) -> Compiler:
    return Compiler.model_validate({"tools": tools or (tell,), **settings})


def test_the_model_sees_no_run() -> None:
    assert tell.signature == "tell(text: str): Tell of a text."
    assert list(tell.definition["parameters"]["properties"]) == ["text"]
    assert (tell.run_as, tell.roles) == ("run", ("teller",))


def test_what_it_spends_is_the_runs() -> None:
    solution, records = solved(model(), compiler())
    assert solution.answer == "all"
    calls = [record for record in records if record["event"] == "call"]
    assert sorted(call["role"] for call in calls) == ["join", "plan", *["teller"] * 3]
    tokens = sum(call["prompt_tokens"] + call["completion_tokens"] for call in calls)
    assert (solution.usage.calls, solution.usage.total_tokens) == (5, tokens)
    spans = {call["span"] for call in calls if call["role"] == "teller"}
    assert spans == {f"run/solve0/call{number}" for number in (1, 2, 3)}
    assert spans <= {record["path"] for record in records if record["event"] == "span"}


def test_the_critical_path_leads_through_the_longest_chain_of_tools() -> None:
    solution, records = solved(model(), compiler())
    spent = {
        (record["role"], record["span"]): record["prompt_tokens"] + record["completion_tokens"]
        for record in records
        if record["event"] == "call"
    }
    one, two, three = (spent["teller", f"run/solve0/call{number}"] for number in (1, 2, 3))
    rest = spent["plan", "run/solve0"] + spent["join", "run/solve0"]
    assert solution.usage.critical_tokens == rest + max(one, two) + three
    assert solution.usage.critical_tokens < solution.usage.total_tokens


def test_a_shared_call_stands_on_every_chain_that_waited_for_it() -> None:
    plan = '1. tell("ab")\n2. tell("ab")\n3. tell("$2 too")\n4. join()'
    solution, _ = solved(model(plan), compiler())
    assert solution.usage.calls == 4
    assert solution.usage.critical_tokens == solution.usage.total_tokens


def test_one_call_after_the_other_is_one_chain() -> None:
    backend = model(act="")
    said = iter(['tell("ab")', "Finish: <ab>"])
    script = backend._answer

    def answer(request: Request) -> Any:
        return next(said) if request.role == "act" else script(request)

    backend._answer = answer
    strategy = React.model_validate({"tools": (tell,)})
    solution, _ = solved(backend, strategy)
    assert (solution.answer, solution.usage.calls) == ("<ab>", 3)
    assert solution.usage.critical_tokens == solution.usage.total_tokens


def test_its_role_may_have_a_model_of_its_own() -> None:
    own = model()
    roles = {"teller": "small"}
    solution, _ = solved(model(), compiler(), roles=roles, small=Given(backend=own))
    assert solution.answer == "all"
    assert {request.role for request in own.requests} == {"teller"}


def test_a_role_that_no_tool_has_is_refused() -> None:
    with pytest.raises(Exception, match="asks no such role"):
        solved(model(), compiler(), roles={"other": "m"})


@pytest.mark.parametrize("calls", range(1, 6))
def test_the_budget_holds_for_tools_too(calls: int) -> None:
    solution, _ = solved(model(), compiler(), budget=Budget(calls=calls))
    assert solution.usage.calls <= calls
    assert solution.status == ("ok" if calls == 5 else "budget_exhausted")
    assert solution.graph is not None


def test_as_many_run_at_once_as_the_model_lets_through() -> None:
    plan = "".join(f'{number}. tell("{number}")\n' for number in range(1, 7)) + "7. join()"
    own = model()
    small = Given(backend=own, concurrency=2)
    solution, _ = solved(model(plan), compiler(), roles={"teller": "small"}, small=small)
    assert solution.graph is not None
    assert own.most_active == 2
    starts = sorted(round(step.started or 0.0) for step in solution.graph.steps)
    assert starts == [1, 1, 2, 2, 3, 3]  # a call that waits for the model is not under way


def test_tools_that_wait_for_a_model_hold_up_no_others() -> None:
    @tool
    async def other() -> str:
        """Return."""
        return "o"

    lines = [*(f'{number}. tell("{number}")' for number in range(1, 5)), "5. other()", "6. join()"]
    small = Given(backend=model(), concurrency=1)
    strategy = compiler(tell, other, slots=2)
    solution, _ = solved(model("\n".join(lines)), strategy, roles={"teller": "small"}, small=small)
    assert solution.graph is not None
    assert solution.graph.steps[4].finished == pytest.approx(1.0)  # as soon as the plan is there


def test_a_failed_call_fails_the_tool_and_is_counted_by_role() -> None:
    flaky = FlakyBackend(
        model(), lambda one: one.role == "teller" and "cd" in one.messages[-1].content
    )
    solution, _ = solved(flaky, compiler())
    assert (solution.answer, solution.failed_by_role) == ("all", {"teller": 1})
    assert solution.graph is not None
    assert [step.state for step in solution.graph.steps] == ["succeeded", "failed", "skipped"]
    assert "the server is down" in solution.graph.steps[1].error


def test_a_tool_that_is_late_ends_its_calls() -> None:
    @tool(timeout=0.5)
    async def slow(text: str, run: Run) -> str:
        """Ask."""
        return (await run.generate(text)).text

    solution, records = solved(model("1. slow(x)\n2. join()"), compiler(slow))
    assert solution.graph is not None
    assert solution.graph.steps[0].state == "timed_out"
    assert solution.usage.cancelled_calls == 1
    assert [r["outcome"] for r in records if r["event"] == "tool"] == ["timeout"]


def test_what_it_draws_is_no_answer_to_the_problem_and_is_counted() -> None:
    @tool
    async def vote(text: str, run: Run) -> str:
        """Vote."""
        async with run.sample(text, 2) as samples:
            return str([one.answer async for one in samples])

    def script(request: Request) -> str:
        said = {"plan": "1. vote(x)\n2. join()", "join": "Finish: all"}
        return said.get(request.role) or ("Answer: 4" if request.ticket else "none of it")

    solution, _ = solved(ScriptedBackend(script), compiler(vote))
    assert [one.answer for one in solution.candidates] == ["all"]
    assert (solution.samples, solution.parse_failures) == (1, 1)


def test_a_tool_may_solve_with_a_strategy() -> None:
    @tool
    async def part(text: str, run: Run) -> str:
        """Solve a part."""
        voted = tts.Strategy.parse({"use": "self_consistency", "samples": 3, "stop": "never"})
        return str((await run.solve(voted, tts.Problem(text=text))).answer)

    def script(request: Request) -> str:
        said = {"plan": "1. part(x)\n2. join()", "join": "Finish: all"}
        return said.get(request.role) or "Answer: 4"

    solution, _ = solved(ScriptedBackend(script), compiler(part))
    assert solution.graph is not None
    assert (solution.graph.steps[0].result, solution.usage.calls) == ("4", 5)


def test_same_seed_same_calls_whatever_the_timing() -> None:
    def seeds(latency: Any) -> list[int | None]:
        backend = model()
        backend._latency = latency
        solved(backend, compiler())
        told = [one for one in backend.requests if one.role == "teller"]
        return [one.seed for one in sorted(told, key=lambda one: one.messages[-1].content)]

    assert seeds(lambda request: 1.0) == seeds(lambda request: 3.0 if "ab" in str(request) else 0.1)


def test_alone_it_goes_on_where_the_run_stands() -> None:
    async def work(run: Run) -> Any:
        return await run.call(tell, {"text": "x"})

    played = play(ScriptedBackend(lambda request: "seen"), work)
    assert played.value == "seen"
    assert played.solution.usage.calls == 1


def test_a_function_that_cannot_wait_cannot_ask() -> None:
    def ask(text: str, run: Run) -> str:
        return text

    with pytest.raises(ConfigError, match="async def"):
        Tool.of(ask)


def test_errors_of_models_come_out_as_they_are() -> None:
    async def work(run: Run) -> Any:
        with pytest.raises(BackendUnavailable):
            await run.call(tell, {"text": "x"})
        with pytest.raises(ToolError, match="needs text"):
            await run.call(tell, {})

    play(FlakyBackend(model(), lambda request: True), work)


def test_a_cancelled_tool_leaves_nothing_under_way() -> None:
    backend = model()

    async def work(run: Run) -> Any:
        with anyio.move_on_after(0.5):
            await run.call(tell, {"text": "x"}, run.branch("call1"))
        return backend.active

    assert play(backend, work).value == 0


class Gate:
    """Counts how many are in at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def enter(self, x: int) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        await anyio.sleep(1.0)
        self.now -= 1
        return x


@pytest.mark.parametrize("strategy", ["compiler", "react"])
def test_a_tools_limit_holds_over_all_problems(strategy: str) -> None:
    gate = Gate()
    one = Tool.of(gate.enter, concurrency=2, timeout=1.5)
    lines = {
        "plan": "1. enter(1)\n2. enter(2)\n3. join()",
        "join": "Finish: all",
        "act": "enter(1)",
    }
    backend = ScriptedBackend(lambda request: lines[request.role])
    chosen = tts.Strategy.named(strategy).model_validate({"tools": (one,)})
    if strategy == "react":
        chosen = chosen.model_copy(update={"max_steps": 2})
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=chosen)

    async def main() -> None:
        async with open_solver(pipeline) as solver, anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(solver.solve, pipeline.problem("q?"))
        assert anyio.current_time() == pytest.approx(4.0)  # 8 calls; to wait is not to be late

    virtual_run(main)
    assert gate.most == 2


def test_a_tool_that_calls_itself_does_not_wait_for_itself() -> None:
    async def nest(depth: int, run: Run) -> int:
        return depth if depth == 0 else await run.call(nested, {"depth": depth - 1})

    nested = Tool.of(nest, concurrency=1, timeout=5.0)

    async def work(run: Run) -> Any:
        return await run.call(nested, {"depth": 3})

    assert play(ScriptedBackend([]), work).value == 0


def test_who_waits_for_a_turn_hears_of_the_budgets_end() -> None:
    @tool(concurrency=1, timeout=100.0)
    async def hold() -> None:
        await anyio.sleep(50.0)

    async def work(run: Run) -> Any:
        lines = [run.branch(f"call{number}") for number in range(2)]
        results = []

        async def one(number: int) -> None:
            with pytest.raises(BudgetExceeded):
                await run.call(hold, {}, lines[number])
            results.append(anyio.current_time())

        await for_each(one, range(2))
        return results

    async def ended() -> Any:
        set_up = rig(ScriptedBackend([]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_after, set_up.account)
            return await work(set_up.run)

    async def end_after(account: Any) -> None:
        await anyio.sleep(1.0)
        account.end("seconds")

    assert virtual_run(ended) == [1.0, 1.0]


def test_pipelines_with_tools_that_ask_have_a_fingerprint() -> None:
    def made(**settings: Any) -> str:
        given: Any = {"m": Given(backend=model()), "n": Given(backend=model(), concurrency=2)}
        return Pipeline(models=given, strategy=compiler(), **settings).fingerprint()

    assert made() == made()
    assert made() != made(prompts={"teller": "other"})
