from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts import ConfigError, Pipeline
from tts.problem_files import read_problems

PIPELINE = Pipeline.model_validate({"models": {"m": "reference"}, "strategy": "best_of_n"})


def file(folder: Path, *rows: Any) -> Path:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_problems(PIPELINE, path)
    return str(caught.value)


def test_problems_get_their_ids_or_their_lines(tmp_path: Path) -> None:
    path = file(tmp_path, {"input": "a", "id": "x"}, "b", {"question": "c", "id": 7})
    problems = read_problems(PIPELINE, path)
    assert [(problem.id, problem.text) for problem in problems] == [("x", "a"), (2, "b"), (7, "c")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"input": "a", "id": "x"}, {"input": "b", "id": "x"}),
        ({"input": "a", "id": 5}, {"input": "b", "id": 5}),
        ({"input": "a", "id": 2}, "b"),
        ("a", {"input": "b", "id": 1}),
    ],
)
def test_equal_ids_are_refused(tmp_path: Path, first: Any, second: Any) -> None:
    path = file(tmp_path, first, second)
    assert refusal(path).startswith(f"{path}:2: the id ")
    assert refusal(path).endswith("is that of line 1")


def test_a_number_and_its_text_are_two_ids(tmp_path: Path) -> None:
    path = file(tmp_path, {"input": "a", "id": 1}, {"input": "b", "id": "1"})
    assert [problem.id for problem in read_problems(PIPELINE, path)] == [1, "1"]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    rows = [7, "good", {}, {"input": "b", "id": []}, {"input": "c", "id": 2}]
    path = file(tmp_path, *rows)
    message = refusal(path)
    assert message.startswith(f"{path}:1: ")
    assert "(lines 1, 3)" in message
    assert [f"line {number}: " in message for number in (2, 4, 5)] == [False, True, True]


@pytest.mark.parametrize(("bad", "end"), [(20, "19, 20)"), (23, "19, 20 and 3 more)")])
def test_the_same_mistake_is_told_once_with_twenty_lines(
    tmp_path: Path, bad: int, end: str
) -> None:
    message = refusal(file(tmp_path, *[7] * bad))
    assert message.count("a line is a string") == 1
    assert "(lines 1, 2, 3, " in message
    assert message.endswith(end)


def test_plain_text_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "problems.txt"
    path.write_text("There are 7 coins.\nThere are 5 more jars.\n\nHow many jars are there?\n")
    assert refusal(path).startswith(f"{path}: plain text, and no line of it is JSON: write")
    assert "--input -" in refusal(path)
    path.write_text('{"input": "a"}\nHow many?\n')
    assert refusal(path).startswith(f"{path}:2: not JSON")


def test_a_line_that_is_nested_too_deeply_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('"one"\n' + "[" * 100_000)
    assert refusal(path) == f"{path}:2: not JSON: too deeply nested"
