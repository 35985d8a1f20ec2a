from __future__ import annotations

import json
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from tests.cli.conftest import FACTS, Tts
from tts import Pipeline, RunUsage, Trace, registry
from tts.layers import trace_file
from tts.strategy import Strategy


@pytest.mark.parametrize(
    "family", ["strategies", "backends", "rules", "votes", "verifiers", "checkers"]
)
def test_registry_lists_and_describes_every_member(tts: Tts, family: str) -> None:
    listed = json.loads(tts(family, "--json").out)
    plain = tts(family).out
    for member in listed:
        assert member["summary"]
        assert f"{member['name']} " in plain
        described = json.loads(tts(family, member["name"], "--json").out)
        assert described == member
    assert listed[0]["name"] in tts(family, listed[0]["name"]).out


def test_registry_settings_carry_their_meaning(tts: Tts) -> None:
    schema = json.loads(tts("strategies", "self_consistency", "--json").out)["schema"]
    assert all(field["description"] for field in schema["properties"].values())


def test_registry_unknown_name_is_refused_with_the_nearest(tts: Tts) -> None:
    outcome = tts("rules", "dominanc")
    assert (outcome.code, outcome.out) == (2, "")
    assert "did you mean 'dominance'" in outcome.err


def test_schema_pipeline_names_every_strategy(tts: Tts) -> None:
    schema = json.loads(tts("schema", "pipeline").out)
    assert set(schema["properties"]) == set(Pipeline.model_fields)
    text = json.dumps(schema["properties"]["strategy"])
    assert all(name in text for name in Strategy.names())


@pytest.mark.parametrize("command", [["rules"], ["rules", "--json"], ["schema", "pipeline"]])
def test_broken_package_is_one_line_on_stderr(
    tts: Tts, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    right = tts(*command)
    points = dict(registry._entry_points("tts.rules"))
    points["broken"] = (EntryPoint("broken", "no_such_module:Rule", "tts.rules"),)
    original = registry._entry_points
    monkeypatch.setattr(
        registry, "_entry_points", lambda group: points if group == "tts.rules" else original(group)
    )
    outcome = tts(*command)
    assert (outcome.code, outcome.out) == (0, right.out)
    assert outcome.err.startswith("tts: rule 'broken' of no_such_module:Rule fails: ModuleNot")
    assert outcome.err.count("\n") == 1
    assert right.err == ""


def test_registry_names_members_that_need_settings(tts: Tts) -> None:
    assert "function" in tts("strategies", "best_of_n").out


def test_schema_in_the_repository_is_current(tts: Tts) -> None:
    committed = Path(__file__).parents[2] / "pipelines" / "pipeline.schema.json"
    assert json.loads(committed.read_text()) == json.loads(tts("schema", "pipeline").out)


def test_trace_show_prints_the_tree_with_both_costs(
    tts: Tts, pipeline: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    report = json.loads(tts("run", pipeline, "-i", FACTS, "--json", "--trace", trace).out)
    shown = tts("trace", "show", trace).out
    usage = report["usage"]
    assert f"total {usage['total_tokens']}  critical path {usage['critical_tokens']}" in shown
    assert shown.count("solve on reference") == usage["calls"]
    assert "stopped by dominance" in shown
    assert FACTS not in trace.read_text()


def test_trace_texts_are_recorded_only_on_request(tts: Tts, pipeline: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    tts("run", pipeline, "-i", "marker 17", "--trace", trace, "--trace-texts")
    assert "marker 17" in trace.read_text()


def test_trace_show_names_the_error_of_a_failed_run(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with trace_file(path) as sink:
        trace = Trace(sink)
        trace.begin(seed=0, problem=None, strategy={"use": "best_of_n"})
        trace.write_end("failed", None, RunUsage(calls=1).model_dump(), error="KeyError")
    assert "failed: KeyError" in tts("trace", "show", path).out


def test_version_is_the_packages(tts: Tts) -> None:
    outcome = tts("--version")
    assert (outcome.code, outcome.out) == (0, f"tts {version('tts-orchestrator')}\n")


@pytest.mark.parametrize("text", ["", "x", "[]", '{"event": "call"}'])
def test_trace_show_refuses_what_is_no_trace(tts: Tts, tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    outcome = tts("trace", "show", path)
    assert outcome.code == 2
    assert str(path) in outcome.err


def test_help_names_the_commands(tts: Tts) -> None:
    out = tts("--help").out
    assert all(command in out for command in ("run", "strategies", "schema", "trace"))


def test_debug_raises(pipeline: Path, tts: Tts) -> None:
    with pytest.raises(ValueError, match="unknown"):
        from tts.cli import main

        main(["--debug", "rules", "none such"])


@pytest.mark.parametrize("words", [(), ("models",), ("cache",)])
def test_without_a_command_the_help_is_shown_in_its_own_lines(
    tts: Tts, words: tuple[str, ...]
) -> None:
    outcome = tts(*words)
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: ")
    assert outcome.err.count("\n") > 8


def test_trace_show_tells_of_groups_overshoots_probes_and_limits(tts: Tts, tmp_path: Path) -> None:
    call = {
        "event": "call", "span": "run/solve0/sample0", "ticket": 0, "role": "solve", "model": "m",
        "start": 0.0, "end": 1.0, "outcome": "stop", "prompt_tokens": 9, "completion_tokens": 8,
        "attempts": 1, "n": 4, "overshoot": 3, "seconds": 2.5,
    }  # fmt: skip
    probe = {"event": "probe", "model": "m", "prompt_tokens": 9, "completion_tokens": 2}
    usage = RunUsage(calls=4, total_tokens=17, critical_seconds=2.5).model_dump()
    limit = {"kind": "tokens", "spent": 17.0, "limit": 14.0}
    end = {"event": "end", "status": "ok", "answer": "7", "usage": usage, "exhausted": limit}
    path = tmp_path / "trace.jsonl"
    rows = [json.dumps({"trace_id": "t"} | record) for record in (probe, call, end)]
    path.write_text("\n".join(rows))
    shown = tts("trace", "show", path).out
    for words in ("(17 of 14 tokens)", "probe of m, an unknown server  9+2", "4 calls"):
        assert words in shown
    assert "kept, took 2.50 s when made  4 in one request" in shown
    assert "critical path 0 in 2.50 s" in shown
    assert "3 tokens over" in shown
