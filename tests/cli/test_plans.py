"""What the command shows of a plan: live, as JSON, as a chart."""

from __future__ import annotations

import io
import json
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from tests.cli.conftest import Tts
from tts import Pipeline, Trace
from tts.backends import Given
from tts.cli.display import Display
from tts.cli.plans import chart, steps_table
from tts.cli.run import OneProblem
from tts.executed import Step
from tts.layers import trace_file
from tts.session import Update
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend
from tts.tools import Tool


def fail(x: int) -> int:
    raise ValueError("\x1b[31mno[/]")


LINES = {
    "plan": ["hm [/]\n1. add(1, 2)\n2. fail($1\n3. add($2, 1)\n4. join()"],
    "join": ["Finish: 3"],
}


def played(path: Path | None = None, *, as_json: bool = False) -> int:
    pipeline = Pipeline(
        models={"m": Given(backend=SpeakingBackend(LINES))},
        strategy=Compiler(tools=("arithmetic", Tool.of(fail, is_quick=True))),  # type: ignore[arg-type]  # parsed
    )
    problem = pipeline.problem("q")
    if path is None:
        return anyio.run(OneProblem(pipeline, problem, 0, Trace(), as_json).main)
    with trace_file(path) as sink:
        return anyio.run(OneProblem(pipeline, problem, 0, Trace(sink), as_json).main)


def test_run_prints_each_call_and_what_was_possible(capsys: pytest.CaptureFixture[str]) -> None:
    assert played() == 0
    out = capsys.readouterr().out
    for words in ("3 calls planned", "1. add(1, 2)  done  = 3", "failed", "skipped", "possible"):
        assert words in out
    assert "\x1b" not in out


def test_run_json_holds_the_executed_graph(capsys: pytest.CaptureFixture[str]) -> None:
    assert played(as_json=True) == 0
    graph = json.loads(capsys.readouterr().out)["graph"]
    assert [step["state"] for step in graph["steps"]] == ["succeeded", "failed", "skipped"]
    assert graph["steps"][1]["after"] == [1]
    assert {"makespan", "lower_bound", "streamed_ideal", "overhead", "work"} <= set(graph)


def test_trace_show_draws_who_ran_when(tts: Tts, tmp_path: Path) -> None:
    played(tmp_path / "t.jsonl", as_json=True)
    outcome = tts("trace", "show", tmp_path / "t.jsonl")
    assert outcome.code == 0
    for words in ("1. add(1, 2)", "█", "lower bound", "its end was guessed", "no call; left out"):
        assert words in outcome.out
    assert "\x1b" not in outcome.out


def steps() -> list[Step]:
    return [
        Step(id=1, text="f(1)", state="succeeded", emitted=0.0, started=0.0, finished=1.0),
        Step(id=2, text="g([/]1)", state="running", started=1.0, emitted=0.5, same_as=1, held=0.5),
        Step(id=3, text="h($2)", after=(2,), state="pending", emitted=1.0),
    ]


def test_a_chart_shows_waits_runs_sharing_and_blocking() -> None:
    record = {"steps": [step.model_dump() for step in steps()]}
    bounds = dict.fromkeys(("makespan", "streamed_ideal", "lower_bound", "overhead"), 1.0)
    lines = chart(record | bounds)
    assert len(lines) == 4
    assert "·" in lines[1] + lines[2]
    assert "as 1, held the event loop 0.50 s" in lines[1]
    Console(file=io.StringIO()).print("\n".join(lines))


def test_a_live_display_shows_the_calls_as_they_stand() -> None:
    file = io.StringIO()
    display = Display("compiler")
    display.console = Console(file=file, force_terminal=True, width=100)
    display._live.console = display.console
    with display:
        display.update(Update(0, 0, None, 7, tuple(steps()), "planning"))
    Console(file=file).print(steps_table(steps()))
    for words in ("1 of 3 calls", "planned", "running"):
        assert words in file.getvalue()


def test_allow_tools_lets_a_pipeline_use_a_function(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "models: {m: {backend: reference, sampling: {max_tokens: 32}}}\n"
        "strategy:\n  use: react\n  max_steps: 1\n"
        "  tools: [{use: python, path: tts.arithmetic.calculate}]\n"
    )
    refused = tts("run", path, "--input", "q")
    assert refused.code == 2
    assert "--allow-tools tts.arithmetic.calculate" in refused.err
    allowed = tts("run", path, "--input", "q", "--json", "--allow-tools", "tts.arithmetic")
    assert allowed.code in {0, 1}
    assert json.loads(allowed.out)["strategy"] == "react"
