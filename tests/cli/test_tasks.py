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


def test_show_cannot_steer_the_terminal(tts: Tts, tmp_path: Path) -> None:
    path = written(tmp_path, [{"question": "a\x1b[2Jb", "answer": "1\x1b[0m", "id": "\x1b7"}])
    assert "\x1b" not in tts("tasks", "jsonl", "--show", "1", "--with", f"path={path}").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grphs"], "did you mean 'graphs'"),
        (["--show", "1"], "needs the name of a task"),
        (["graphs", "--with", "level=5"], "--with has no use without --show"),
        (["graphs", "--show", "1", "--with", "level"], "write setting=value"),
        (["graphs", "--show", "1", "--with", "level={"], "the value is not YAML"),
        (["graphs", "--show", "1", "--with", "level=9"], "level: Input should be less than"),
        (["gsm8k", "--show", "1", "--with", "path=none.jsonl"], "none.jsonl: cannot read"),
        (["calls", "--show", "1", "--with", "parallel=4"], "at most 2"),
    ],
)
def test_tasks_mistakes_are_wrong_input(tts: Tts, arguments: list[str], words: str) -> None:
    outcome = tts("tasks", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
