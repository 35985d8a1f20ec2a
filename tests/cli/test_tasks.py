from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Tts
from tests.evals.tasks.files import LINES, written


def test_tasks_lists_and_describes_every_member(tts: Tts) -> None:
    listed = json.loads(tts("tasks", "--json").out)
    plain = tts("tasks").out
    for member in listed:
        assert f"{member['name']} " in plain
        assert json.loads(tts("tasks", member["name"], "--json").out) == member
    assert "Operations that the answer takes" in tts("tasks", "graphs").out


def test_show_prints_examples_with_settings(tts: Tts) -> None:
    shown = tts("tasks", "graphs", "--show", "2", "--with", "level=5").out
    assert shown.count("right answer: ") == shown.count("Facts:") == 2
    examples = json.loads(tts("tasks", "graphs", "--show", "1", "--json").out)
    assert examples[0]["answer"].isdigit()


def test_show_keeps_the_lines_of_programs(tts: Tts) -> None:
    assert "\n    steps += 1\n" in tts("tasks", "sx", "--show", "1").out


def test_show_reads_a_file(tts: Tts, tmp_path: Path) -> None:
    path = written(tmp_path, LINES["humaneval"])
    outcome = tts("tasks", "humaneval", "--show", "1", "--with", f"path={path}")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Complete this Python function." in outcome.out


@pytest.mark.parametrize("check", ["code", "{use: function, path: os.abort}"])
def test_showing_needs_no_leave_and_runs_nothing(tts: Tts, tmp_path: Path, check: str) -> None:
    path = written(tmp_path, [{"question": "Square x.", "answer": "raise SystemExit"}])
    words = ("tasks", "jsonl", "--with", f"path={path}", "--with", f"check={check}")
    shown, lines = tts(*words, "--show", "1"), tts(*words, "--lines", "1")
    assert (shown.code, lines.code) == (0, 0)
    assert "right answer: raise SystemExit" in shown.out
    assert json.loads(lines.out)["answer"] == "raise SystemExit"
    assert f"bench judges them by {'code' if check == 'code' else 'function'}" in lines.err


def test_lines_of_programs_need_no_leave(tts: Tts, tmp_path: Path) -> None:
    path = written(tmp_path, LINES["humaneval"])
    outcome = tts("tasks", "humaneval", "--lines", "1", "--with", f"path={path}")
    assert outcome.code == 0
    assert "bench judges them by code" in outcome.err


def test_show_cannot_steer_the_terminal(tts: Tts, tmp_path: Path) -> None:
    path = written(tmp_path, [{"question": "a\x1b[2Jb", "answer": "1\x1b[0m", "id": "\x1b7"}])
    assert "\x1b" not in tts("tasks", "jsonl", "--show", "1", "--with", f"path={path}").out


def test_lines_are_what_run_and_calibrate_read(
    tts: Tts, tmp_path: Path, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("tasks", "graphs", "--with", "level=1", "--lines", "130")
    split = {name: tts(*words, "--split", name) for name in ("develop", "test")}
    assert tts(*words).out == split["test"].out
    assert "130 problems of graphs 1 facts, split develop; " in split["develop"].err
    assert "answer: auto; bench judges them by numeric" in split["develop"].err
    rows = {
        name: [json.loads(row) for row in each.out.splitlines()] for name, each in split.items()
    }
    assert [len(each) for each in rows.values()] == [130, 130]
    questions = [{row["question"] for row in each} for each in rows.values()]
    assert not questions[0] & questions[1]
    few = "\n".join(split["develop"].out.splitlines()[:3])
    (tmp_path / "few.jsonl").write_text(few)
    solved = tts("run", pipeline, "--input-file", "few.jsonl")
    assert [json.loads(row)["id"] for row in solved.out.splitlines()] == [
        row["id"] for row in rows["develop"][:3]
    ]
    target = ("--target", "error<=0.99", "--delta", "0.9", "--out", "rule.json")
    told = tts("calibrate", pipeline, "--data", "few.jsonl", *target).err.splitlines()
    assert told[-1].startswith("tts: 3 problems sampled; ")
    assert tts("tasks", "jsonl", "--with", "path=few.jsonl", "--lines", "9").out.strip() == few


def test_lines_tell_how_answers_are_read(tts: Tts, tmp_path: Path) -> None:
    path = written(tmp_path, [{"question": "a\x9b2Jb", "answer": "é"}])
    text = "answer_format={pattern: 'x(.)'}"
    outcome = tts("tasks", "jsonl", "--lines", "5", "--with", f"path={path}", "--with", text)
    assert "\x9b" not in outcome.out
    assert json.loads(outcome.out)["answer"] == "é"
    assert "answer: {pattern: 'x(.)'}; bench judges them by equivalent" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grphs"], "did you mean 'graphs'"),
        (["--show", "1"], "need the name of a task"),
        (["--lines", "1"], "need the name of a task"),
        (["graphs", "--with", "level=5"], "have no use without --show or --lines"),
        (["graphs", "--split", "develop"], "have no use without --show or --lines"),
        (["graphs", "--split", "train", "--lines", "1"], "'train' is not one of"),
        (["graphs", "--lines", "1", "--json"], "leave out --show and --json"),
        (["graphs", "--show", "1", "--with", "level"], "write setting=value"),
        (["graphs", "--show", "1", "--with", "level={"], "the value is not YAML"),
        (["graphs", "--show", "1", "--with", "level=9"], "level: give at most"),
        (["gsm8k", "--show", "1", "--with", "path=none.jsonl"], "none.jsonl: cannot read"),
        (["calls", "--show", "1", "--with", "parallel=4"], "at most 2"),
        (["jsonl", "--show", "1", "--with", "check=cod"], "did you mean 'code'"),
    ],
)
def test_tasks_mistakes_are_wrong_input(tts: Tts, arguments: list[str], words: str) -> None:
    outcome = tts("tasks", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
