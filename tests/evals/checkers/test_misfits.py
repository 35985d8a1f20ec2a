"""What no answer could ever be right by: said when a file is read. And checkers made for show."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import ConfigError, Problem
from tts.evals.checkers import Checker, CheckFailed
from tts.evals.checkers.base import made_for_show
from tts.evals.checkers.code import allow_code_execution
from tts.evals.tasks import Example, Task

SETTINGS: dict[str, dict[str, Any]] = {"function": {"path": "no.such.function"}}
PUZZLE = {"numbers": [3, 8], "target": 24}
FITS: list[tuple[object, dict[str, Any]]] = [
    ("numeric", {"answer": "1,200 km"}),
    ("choice", {"answer": "(c)"}),
    ("regex", {"answer": "a+"}),
    ({"use": "regex", "pattern": "a"}, {"answer": "("}),
    ("exact", {"answer": "the"}),
    ("equivalent", {"answer": "\\frac12"}),
    ("approximate", {"answer": "about 3"}),
    ("function_calls", {"answer": '[{"f": {"x": [1]}}]'}),
    ("expression", {"answer": "3 * 8", **PUZZLE}),
    ("expression", {"answer": "3 * 8", **PUZZLE, "signs": "*"}),
]
MISFITS: list[tuple[str, dict[str, Any], str]] = [
    ("numeric", {"answer": "abc"}, "'abc' is no number; exact and equivalent take"),
    ("choice", {"answer": "Q"}, "'Q' is no letter A to J; exact takes"),
    ("regex", {"answer": "(a"}, "'(a' is no regular expression: missing ), unterminated"),
    ("regex", {"answer": ""}, "the right answer is empty"),
    ("exact", {"answer": " "}, "the right answer is empty"),
    ("equivalent", {"answer": "\n"}, "the right answer is empty"),
    ("approximate", {"answer": ""}, "the right answer is empty"),
    ("math_verify", {"answer": ""}, "the right answer is empty"),
    ("function_calls", {"answer": "f(1)"}, "no list of expected calls; it is JSON: [{name"),
    ("expression", {"answer": "3 * 8"}, "no numbers and target"),
    ("expression", {**PUZZLE, "answer": "", "numbers": ["3", "8"]}, "numbers are whole"),
    ("expression", {**PUZZLE, "answer": "", "numbers": []}, "at least one"),
    ("expression", {**PUZZLE, "answer": "", "numbers": [-3, 8]}, "not negative"),
    ("expression", {**PUZZLE, "answer": "", "target": "24"}, "no numbers and target"),
    ("expression", {**PUZZLE, "answer": "", "signs": "+^"}, "signs are a text of"),
    ("reasoning_gym", {"answer": "7"}, "has no dataset, seed, settings, index"),
    ("code", {"answer": "assert ("}, "the test is no Python: line 1"),
]


def read(folder: Path, check: object, row: dict[str, Any]) -> tuple[Example, ...]:
    """Read a file with a row in its second line."""
    path = folder / "lines.jsonl"
    path.write_text("\n" + json.dumps({"question": "?", **row}))
    keep = sorted({*row} - {"answer"})
    with allow_code_execution():
        task = Task.parse({"use": "jsonl", "path": str(path), "check": check, "keep": keep})
    return task.examples()


@pytest.mark.parametrize(("check", "row", "words"), MISFITS)
def test_what_can_never_be_right_is_refused_with_its_line(
    check: str, row: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, check, row)
    assert f"lines.jsonl:2: {check}: " in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("check", "row"), FITS)
def test_what_can_be_right_is_read(check: object, row: dict[str, Any], tmp_path: Path) -> None:
    assert len(read(tmp_path, check, row)) == 1


@given(
    name=st.sampled_from(sorted(Checker.names())),
    answer=st.text(max_size=20),
    extra=st.dictionaries(
        st.sampled_from(["numbers", "target", "signs", "dataset", "before"]),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=3),
    ),
)
def test_every_checker_says_in_one_line_what_it_cannot_judge(
    name: str, answer: str, extra: dict[str, Any]
) -> None:
    with made_for_show():
        checker = Checker.parse({"use": name, **SETTINGS.get(name, {})})
    problem = Example(id="1", problem=Problem(text="?"), answer=answer, extra=extra)
    reason = checker.misfit(problem)
    assert reason is None or (reason and "\n" not in reason)


def test_checkers_made_for_show_run_and_import_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with made_for_show():
        shown = [
            Checker.parse("code"),
            Checker.parse({"use": "function", "path": "loud_module.judge"}),
        ]
    wanted = Example(id="1", problem=Problem(text="?"), answer="pass")
    for checker in shown:
        with pytest.raises(CheckFailed, match="made for show"):
            anyio.run(checker.check, "pass", "pass", wanted)
        with pytest.raises(ValueError, match="allow"):  # outside it is as before
            Checker.parse(checker.settings())
    assert "loud_module" not in sys.modules
