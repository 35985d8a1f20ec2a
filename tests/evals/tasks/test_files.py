"""Files of problems: what is read, and what is said about mistakes."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evals.tasks.files import LINES, written
from tts import ConfigError
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks import Task

FORMATS = sorted(LINES)


def task_of(name: str, path: Path | None, **settings: Any) -> Task:
    given = {"path": str(path)} if path else {}
    return Task.parse({"use": name, **given, **settings})


@pytest.mark.parametrize("name", FORMATS)
def test_whole_file_is_the_test_split(name: str, tmp_path: Path) -> None:
    wanted = [line for line in LINES[name] if line.get("type") != "bridge"]
    assert len(task_of(name, written(tmp_path, LINES[name])).examples()) == len(wanted)


@pytest.mark.parametrize("name", FORMATS)
def test_develop_without_a_share_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set develop: 0\.2"):
        task_of(name, written(tmp_path, LINES[name]), split="develop").examples()


@pytest.mark.parametrize("name", FORMATS)
def test_line_without_its_fields_is_named(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, [*LINES[name][:2], {"other": 1}])
    with pytest.raises(
        ConfigError, match=r"lines\.jsonl:3: the field .* is missing or null; there are o"
    ):
        task_of(name, path).examples()


def test_splits_of_a_file_together_are_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, LINES["jsonl"])
    ids = [
        example.id
        for split in ("develop", "test")
        for example in task_of("jsonl", path, split=split, develop=0.3).examples()
    ]
    assert len(ids) == len(set(ids)) == len(LINES["jsonl"])


def test_shuffle_takes_other_problems_for_another_seed(tmp_path: Path) -> None:
    path = written(tmp_path, LINES["jsonl"])
    orders = [task_of("jsonl", path, shuffle=True, seed=seed).examples() for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert {each.id for each in orders[0]} == {each.id for each in orders[1]}


def test_own_fields_instruction_and_checker(tmp_path: Path) -> None:
    path = written(tmp_path, [{"q": "One?", "a": 1.0, "key": 7, "kind": "easy"}])
    task = task_of(
        "jsonl",
        path,
        question="q",
        answer="a",
        id="key",
        keep=["kind"],
        instruction="Be brief.",
        check={"use": "numeric", "relative": 0.1},
        alias="mine",
    )
    (example,) = task.examples()
    assert (example.id, example.answer, example.extra) == ("7", "1", {"kind": "easy"})
    assert example.problem.text == "One?\n\nBe brief."
    assert (task.title, task.checker) == ("mine", Numeric(relative=0.1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no problem in the file"),
        ("no json\n", ":1: not JSON"),
        ('{"question": "a", "answer": "\\ud800"}\n', "the field 'answer' is no Unicode text"),
        ("[1]\n", ":1: a line is one JSON object"),
        ('{"question": " ", "answer": "1"}\n', ":1: .*the problem is empty"),
        ('{"question": ["a"], "answer": "1"}\n', ":1: the field 'question' is neither"),
        (2 * '{"question": "a", "answer": "1", "id": "x"}\n', ":2: the id 'x' is that of an ea"),
        (8 * '{"question": "a"}\n', r":1: [^:]+ \(lines 1, 2, 3, 4, 5 and 3 more\)$"),
        (
            '{"question": "a"}\n{"answer": "1"}\n',
            r":1: [^:]+question; line 2: the field 'question'",
        ),
        ("".join(f'{{"{n}": 1}}\n' for n in range(7)), "; line 5: .*; and 2 more lines$"),
    ],
)
def test_mistake_in_a_file_is_located(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        task_of("jsonl", path).examples()


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        task_of("gsm8k", tmp_path / "none.jsonl").examples()


def test_no_path_and_no_extra_says_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def refuse(name: str, *rest: Any) -> ModuleType:
        if name == "datasets":
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"openai/gsm8k with pip install .*\[datasets\]"):
        task_of("gsm8k", None).examples()
    with pytest.raises(ConfigError, match="needs path: a file of JSON lines"):
        task_of("parallelqa", None).examples()


def test_hub_is_asked_for_the_right_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, str]] = []

    def load_dataset(name: str, config: str | None, *, split: str) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        if name.startswith("Idavidrein"):
            raise OSError("the data set is\nbehind a gate")
        return LINES["aime"]

    fake = ModuleType("datasets")
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]  # as the real one has it
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert len(task_of("aime", None, year=2024).examples()) == 40
    assert asked == [("HuggingFaceH4/aime_2024", None, "train")]
    with pytest.raises(ConfigError, match=r"cannot load Idavidrein/gpqa .*: the data set is behi"):
        task_of("gpqa", None).examples()


def test_options_of_a_question_keep_their_order_for_a_seed(tmp_path: Path) -> None:
    path = written(tmp_path, LINES["gpqa"])
    letters = {example.answer for example in task_of("gpqa", path).examples()}
    assert letters == set("ABCD")
    assert task_of("gpqa", path, seed=1).examples() != task_of("gpqa", path).examples()


def test_category_is_kept_apart(tmp_path: Path) -> None:
    path = written(tmp_path, LINES["bfcl"])
    assert len(task_of("bfcl", path, category="parallel", problems=3).examples()) == 3
    with pytest.raises(ConfigError, match="no problem in the file"):
        task_of("bfcl", path, category="simple").examples()


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("mbpp", {"test_list": []}, "'test_list' is no list with something in it"),
        ("mbpp", {"test_list": "assert 1"}, "'test_list' is no list with"),
        ("mbpp", {"test_list": 5}, "'test_list' is no list with"),
        ("mbpp", {"test_list": [5]}, "'test_list' is no list of texts"),
        ("mbpp", {"test_imports": "import math"}, "'test_imports' is no list with"),
        ("bfcl", {"messages": ["hello"]}, "'messages' is no list of objects"),
        ("bfcl", {"messages": "hello"}, "'messages' is no list with"),
        ("bfcl", {"functions": 5}, "'functions' is no list with"),
        ("bfcl", {"ground_truth": [{"f": {"x": 5}}]}, "'ground_truth': .* nothing is allowed"),
        ("bfcl", {"ground_truth": [{"f": {"x": [{"y": 5}]}}]}, "nothing is allowed"),
        ("bfcl", {"ground_truth": [{"f": {"x": [{"y": []}]}}]}, "nothing is allowed"),
        ("bfcl", {"ground_truth": 5}, "no list of expected calls"),
        ("gsm8k", {"answer": "no number here"}, "the answer 'no number here' is no number"),
        ("gsm8k", {"answer": "x\n#### "}, "the answer '' is no number"),
        ("amc23", {"answer": "A"}, "the answer 'A' is no number"),
        ("aime", {"answer": ""}, "the answer '' is no number"),
        ("gpqa", {"Incorrect Answer 2": "1"}, "the right answer '1' is among the wrong ones"),
        ("jsonl", {"answer": float("nan")}, "'answer' is no finite number"),
        ("jsonl", {"answer": float("inf")}, "'answer' is no finite number"),
    ],
)
def test_line_of_another_form_is_refused(
    name: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, [LINES[name][0], LINES[name][1] | changed])
    with pytest.raises(ConfigError, match=f"jsonl:2: .*{message}"):
        task_of(name, path).examples()


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_any_line_is_read_or_refused(name: str, data: st.DataObject, tmp_path: Path) -> None:
    line = dict(LINES[name][1])
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(ODD)
    path = written(tmp_path, [line])
    try:
        task_of(name, path).examples()
    except ConfigError as error:
        assert "\n" not in str(error)


def test_mark_of_byte_order_is_passed_over_and_huge_numbers_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "q", "answer": 1}\n')
    assert len(task_of("jsonl", path).examples()) == 1
    path.write_text('{"question": "q", "answer": ' + "9" * 5000 + "}\n")
    with pytest.raises(ConfigError, match="jsonl:1: too large or too deep a value"):
        task_of("jsonl", path).examples()


@pytest.mark.parametrize(
    ("puzzles", "message"),
    [
        ([], "no puzzle of the split 'test' from line 1 on"),
        (["1 1 4 6", "1 1 4 6"], "jsonl:2: the puzzle is that of an earlier line"),
    ],
)
def test_game24_file_has_puzzles_and_each_once(
    puzzles: list[str], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, [{"puzzle": puzzle} for puzzle in puzzles])
    with pytest.raises(ConfigError, match=message):
        task_of("game24", path, develop=0.0).examples()


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("jsonl", {"instruction": "Think."}, {}), ("gpqa", {"seed": 0}, {"seed": 1})],
)
def test_splits_share_no_problem_whatever_is_set(
    name: str, one: dict[str, Any], other: dict[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path, LINES[name])
    develop, test = (
        {each.id for each in task_of(name, path, split=split, develop=0.5, **more).examples()}
        for split, more in (("develop", one), ("test", other))
    )
    assert not develop & test
    assert len(develop | test) == len(LINES[name])
