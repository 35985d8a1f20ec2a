"""What every registered task must do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.tasks.files import settings_of
from tts.evals.checkers import Checker
from tts.evals.checkers.code import allow_code_execution
from tts.evals.tasks import Example, Task

NEEDS_EXTRA = {"reasoning_gym"}  # `make reasoning-test`
every_task = pytest.mark.parametrize("name", sorted(set(Task.names()) - NEEDS_EXTRA))


def task_of(name: str, folder: Path, **settings: Any) -> Task:
    return Task.parse({"use": name, "problems": 8, **settings_of(name, folder), **settings})


@pytest.mark.long
@every_task
def test_examples_are_the_same_every_time(name: str, tmp_path: Path) -> None:
    examples = task_of(name, tmp_path).examples()
    assert examples
    assert task_of(name, tmp_path).examples() == examples


@every_task
def test_fewer_problems_begin_the_longer_list(name: str, tmp_path: Path) -> None:
    examples = task_of(name, tmp_path).examples()
    assert task_of(name, tmp_path, problems=2).examples() == examples[:2]


@pytest.mark.long
@every_task
def test_ids_are_unique_and_splits_never_meet(name: str, tmp_path: Path) -> None:
    splits = {
        split: task_of(name, tmp_path, split=split).examples() for split in ("develop", "test")
    }
    for examples in splits.values():
        assert examples
        assert len({example.id for example in examples}) == len(examples)
    for what in ("id", "problem"):
        develop, test = ({str(getattr(e, what)) for e in each} for each in splits.values())
        assert not develop & test


@every_task
def test_examples_survive_json(name: str, tmp_path: Path) -> None:
    for example in task_of(name, tmp_path).examples():
        dumped = json.dumps(example.model_dump(mode="json"), allow_nan=False)
        assert Example.model_validate_json(dumped) == example


@every_task
def test_settings_round_trip_and_say_what_they_mean(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path)
    assert Task.parse(json.loads(json.dumps(task.settings()))) == task
    fields = type(task).model_json_schema()["properties"].values()
    assert all(field.get("description") for field in fields)


@every_task
def test_title_is_one_line_and_the_checker_is_a_checker(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path)
    assert task.title == " ".join(task.title.split())
    with allow_code_execution():
        assert isinstance(task.checker, Checker)


@every_task
@pytest.mark.anyio
async def test_right_answers_are_right_and_abstentions_wrong(name: str, tmp_path: Path) -> None:
    task = task_of(name, tmp_path, problems=3)
    with allow_code_execution():
        checker = task.checker
    for example in task.examples():
        right = example.extra.get("solution", example.answer)
        assert await checker.check(right, right, example), example
        assert not await checker.check(None, right, example)
        assert not await checker.check("no such answer", "no such answer", example)
