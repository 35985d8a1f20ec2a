from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from tests.cli.conftest import FACTS, Outcome, Tts
from tts import Pipeline, Request, Trace
from tts.backends import Given
from tts.cli.run import ManyProblems, OneProblem
from tts.errors import AuthenticationError
from tts.testing import FlakyBackend, ScriptedBackend

KEYS = [
    "answer", "text", "status", "exhausted", "strategy", "stopped_by", "samples", "usage",
    "parse_failures", "reasons", "failed_calls", "failed_by_role", "failed_functions", "notes",
    "trace_id",
]  # fmt: skip
USAGE = [
    "calls", "cancelled_calls", "cached_calls", "prompt_tokens", "completion_tokens",
    "total_tokens", "critical_tokens", "critical_completion_tokens", "critical_seconds",
    "cost_usd", "wall_seconds",
]  # fmt: skip


def assert_refused(outcome: Outcome, *words: str) -> None:
    """One line that says all this, exit code 2, nothing printed."""
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("tts: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


def test_run_json_has_exactly_the_promised_keys(tts: Tts, pipeline: Path) -> None:
    outcome = tts("run", pipeline, "--input", FACTS, "--json")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert list(report) == KEYS
    assert list(report["usage"]) == USAGE
    assert report["strategy"] == "self_consistency"


def test_run_json_replays_with_the_same_seed(tts: Tts, pipeline: Path) -> None:
    def texts(seed: int) -> object:
        report = json.loads(tts("run", pipeline, "-i", FACTS, "--json", "--seed", str(seed)).out)
        return report["text"], report["usage"]["completion_tokens"]

    assert texts(1) == texts(1)


def test_run_plain_shows_the_answer_the_reason_and_both_costs(tts: Tts, pipeline: Path) -> None:
    outcome = tts("run", pipeline, "--input", FACTS)
    assert outcome.code == 0
    for word in ("answer ", "total ", "critical path ", "$0"):
        assert word in outcome.out
    assert "\x1b" not in outcome.out


def test_run_reads_standard_input(
    tts: Tts, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FACTS.encode())))
    assert json.loads(tts("run", pipeline, "--input", "-", "--json").out)["samples"] > 0


def test_run_refuses_standard_input_that_is_not_utf8(
    tts: Tts, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff")))
    assert_refused(tts("run", pipeline, "--input", "-"), "not UTF-8 at byte 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {m: {backend: reference}}\nstrategy: nope\n", [":2:1:", "nope", "known"]),
        (
            "models: {m: {backend: reference}}\nstrategy: self_consistenci\n",
            [":2:1:", "did you mean 'self_consistency'"],
        ),
        ("models: {m: {backend: reference}}\nstrategy: best_of_n\nx: 1\n", [":3:1:", "'x'"]),
        (
            "models: {m: {backend: reference}}\nstrategy:\n  use: best_of_n\n  samples: many\n",
            [":4:3:", "strategy.samples"],
        ),
        ("models: {m: {backend: refrence}}\nstrategy: best_of_n\n", [":1:14:", "'reference'"]),
        ("models: [", ["not YAML", ":1:"]),
        ("", ["empty"]),
    ],
)
def test_run_points_at_the_mistake(tts: Tts, tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert_refused(tts("run", path, "--input", "q"), str(path), *words)


def test_run_refuses_bad_arguments(tts: Tts, pipeline: Path, tmp_path: Path) -> None:
    assert_refused(tts("run", tmp_path / "none.yaml", "--input", "q"), "cannot read")
    assert_refused(tts("run", pipeline), "--input")
    assert_refused(tts("run", pipeline, "--input", "a", "--input-file", "b"), "--input")
    assert_refused(tts("run", pipeline, "--input", "  "), "problem is empty")
    assert_refused(tts("run", pipeline, "--input", "q", "--seed", "x"), "seed")
    assert_refused(tts("run", pipeline, "--input", "q", "--trace", tmp_path), "cannot write")
    assert_refused(tts("run", pipeline, "--input", "q", "--trace-texts"), "--trace FILE")
    assert_refused(tts("run"), "pipeline")
    assert_refused(tts("walk"), "walk")


def test_a_trace_needs_no_folder_and_a_wrong_problem_leaves_none(
    tts: Tts, pipeline: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "new" / "folder" / "trace.jsonl"
    assert_refused(tts("run", pipeline, "--input", " ", "--trace", trace), "problem is empty")
    assert not trace.parent.exists()
    assert tts("run", pipeline, "--input", FACTS, "--trace", trace).code == 0
    assert trace.read_text().count('"event": "run"') == 1


def test_two_models_of_one_backend_are_told_apart(tts: Tts, tmp_path: Path) -> None:
    path, trace = tmp_path / "two.yaml", tmp_path / "trace.jsonl"
    path.write_text(
        "models: {small: {backend: reference}, large: {backend: reference}}\n"
        "roles: {draft: small, target: large}\n"
        "strategy: {use: draft_target, samples: 1, chunk: 8, turns: 1}\n"
    )
    told = tts("run", path, "--input", FACTS, "--trace", trace).out
    assert told.startswith("draft_target on reference (small), reference (large):")
    calls = [json.loads(line) for line in trace.read_text().splitlines() if '"call"' in line]
    assert {(call["role"], call["name"]) for call in calls} == {
        ("draft", "small"),
        ("target", "large"),
    }
    assert {call["model"] for call in calls} == {"reference"}
    shown = tts("trace", "show", trace).out
    assert "draft on small" in shown
    assert "target on large" in shown


def test_run_file_writes_lines_in_input_order(tts: Tts, pipeline: Path, tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    rows = [{"id": f"p{index}", "question": FACTS} for index in range(5)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows) + f"\n{json.dumps(FACTS)}")
    outcome = tts("run", pipeline, "--input-file", problems, "--concurrency", "3")
    reports = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert [report["id"] for report in reports] == ["p0", "p1", "p2", "p3", "p4", 7]
    assert all(report["usage"]["calls"] for report in reports)


@pytest.mark.parametrize(
    "line", ['{"question": "q", "id": []}', '"\\ud800 x"', "{", "7", "{}", '{"question": 3}', '""']
)
def test_run_file_names_the_bad_line_and_spends_nothing(
    tts: Tts, pipeline: Path, tmp_path: Path, line: str
) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text(f"{json.dumps(FACTS)}\n{line}\n")
    assert_refused(tts("run", pipeline, "--input-file", problems), f"{problems}:2:")


def test_run_without_an_answer_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = _pipeline(ScriptedBackend(lambda request: "I do not know"))
    one = OneProblem(pipeline, pipeline.problem("q"), 0, Trace(), True)
    assert anyio.run(one.main) == 1
    assert '"status": "no_answer"' in capsys.readouterr().out


def test_run_shows_no_control_characters_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = _pipeline(ScriptedBackend(lambda request: "Answer: \x1b]0;owned\x07seven"))
    assert anyio.run(OneProblem(pipeline, pipeline.problem("q"), 0, Trace(), False).main) == 0
    out = capsys.readouterr().out
    assert "seven" in out
    assert "\x1b" not in out


def test_run_file_survives_a_bug_in_one_problem(capsys: pytest.CaptureFixture[str]) -> None:
    def script(request: Request) -> str:
        return "Answer: 7" if "good" in request.messages[0].content else str(1 / 0)

    pipeline = _pipeline(ScriptedBackend(script))
    problems = [pipeline.problem(text, id=text) for text in ("bad", "good")]
    assert anyio.run(ManyProblems(pipeline, problems, 0, None, False, 1).main) == 1
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "ZeroDivisionError" in reports[0]["error"]
    assert reports[1]["answer"] == "7"


def test_run_file_tells_failures_apart(capsys: pytest.CaptureFixture[str]) -> None:
    backend = FlakyBackend(
        ScriptedBackend(lambda request: "Answer: 7"),
        fails=lambda request: "bad" in request.messages[0].content,
        error=lambda: AuthenticationError("wrong key"),
    )
    pipeline = _pipeline(backend)
    problems = [pipeline.problem(text, id=text) for text in ("good", "bad", "fine")]
    code = anyio.run(ManyProblems(pipeline, problems, 0, None, False, 2).main)
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [report.get("answer") for report in reports] == ["7", None, "7"]
    assert "wrong key" in reports[1]["error"]


def _pipeline(backend: ScriptedBackend | FlakyBackend, samples: int = 4) -> Pipeline:
    return Pipeline(
        models={"m": Given(backend=backend)},
        strategy={"use": "self_consistency", "samples": samples, "stop": "never"},  # type: ignore[arg-type]  # parsed by the field
    )


def _interrupted_after(calls: int) -> ScriptedBackend:
    """Answers some calls at once; the next one presses Ctrl-C and would then take an hour."""

    pressed: list[int] = []

    def latency(request: Request) -> float:
        if request.ticket < calls:
            return 0.0
        if not pressed:
            pressed.append(request.ticket)
            os.kill(os.getpid(), signal.SIGINT)
        return 3600.0

    return ScriptedBackend(lambda request: "Answer: 7", latency=latency)


@pytest.mark.parametrize("as_json", [True, False])
def test_run_prints_the_partial_answer_on_ctrl_c(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    backend = _interrupted_after(3)
    pipeline = _pipeline(backend, samples=6)
    one = OneProblem(pipeline, pipeline.problem("q"), 0, Trace(), as_json)
    assert anyio.run(one.main) == 130
    out = capsys.readouterr().out
    assert ('"answer": "7"' if as_json else "answer 7") in out
    assert "budget_exhausted" in out or "an interrupt ended the work" in out
    assert backend.active == 0


def test_run_file_prints_every_problem_on_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    backend = _interrupted_after(2)
    pipeline = _pipeline(backend)
    problems = [pipeline.problem("q", id=str(index)) for index in range(4)]
    assert anyio.run(ManyProblems(pipeline, problems, 0, None, False, 2).main) == 130
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["id"] for report in reports] == ["0", "1", "2", "3"]
    assert "error" not in reports[0]
    assert reports[3]["error"] == "interrupted before its first call"
    assert backend.active == 0


def test_run_error_of_the_model_is_exit_1(tts: Tts, pipeline: Path, tmp_path: Path) -> None:
    outcome = tts("run", pipeline, "--input", "word " * 2000)
    assert outcome.code == 1
    assert "context" in outcome.err
    assert outcome.err.count("\n") == 1


def test_run_names_each_model_and_what_the_strategy_noted(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(
        "models:\n  small: {backend: reference, model: draft}\n  large: {backend: reference}\n"
        "roles: {draft: small, target: large}\n"
        "strategy: {use: draft_target, samples: 2, turns: 2, chunk: 8}\n"
    )
    shown = tts("run", path, "--input", FACTS)
    assert "draft_target on reference-draft (small), reference (large)" in shown.out
    assert "noted: " in shown.out
    noted = json.loads(tts("run", path, "--input", FACTS, "--json").out)["notes"]
    assert {"decisions", "takeovers", "unscored", "takeover_rate_0"} <= set(noted)
