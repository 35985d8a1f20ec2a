"""The bridge to Reasoning Gym, with the real package (`make reasoning-test`)."""

from __future__ import annotations

import json

import pytest

from tts import ConfigError, Problem
from tts.evals.checkers import CheckFailed
from tts.evals.checkers.gym import ReasoningGym as GymChecker
from tts.evals.tasks import Example, Task

pytestmark = pytest.mark.anyio
GENERATORS = ["leg_counting", "chain_sum", "countdown", "knights_knaves", "family_relationships"]


def task_of(dataset: str, **settings: object) -> Task:
    return Task.parse({"use": "reasoning_gym", "dataset": dataset, "problems": 5, **settings})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("dataset", GENERATORS)
async def test_examples_are_stable_and_their_own_answers_right(dataset: str) -> None:
    task = task_of(dataset)
    examples = task.examples()
    assert len(examples) == 5
    assert task_of(dataset).examples() == examples
    develop = task_of(dataset, split="develop").examples()
    assert not {each.id for each in examples} & {each.id for each in develop}
    for example in examples:
        assert Example.model_validate_json(json.dumps(example.model_dump(mode="json"))) == example
        assert await task.checker.check(example.answer, "", example)
        assert not await task.checker.check("no such answer", "", example)
        assert not await task.checker.check(None, "", example)


async def test_settings_of_the_generator_and_of_the_task() -> None:
    task = task_of("chain_sum", options={"min_terms": 2, "max_terms": 2})
    assert task.title == "reasoning_gym chain_sum"
    assert Task.parse(task.settings()) == task


@pytest.mark.parametrize(
    ("dataset", "options", "words"),
    [("chain_sums", {}, "did you mean"), ("chain_sum", {"min_terms": -1}, "refuses its settings")],
)
async def test_mistakes_are_told(dataset: str, options: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        task_of(dataset, options=options).examples()


async def test_problem_of_another_task_fails_the_check() -> None:
    alien = Example(id="1", problem=Problem(text="?"), answer="1")
    with pytest.raises(CheckFailed, match="KeyError"):
        await GymChecker().check("1", "1", alien)
