from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tts import ConfigError, Pipeline
from tts.backends.inspect import Inspect
from tts.evals.inspect_solver import _problem, inspect_solver

PIPELINE = Pipeline.model_validate({"models": {"main": "inspect"}, "strategy": "self_consistency"})
INSTALL = r"pip install 'tts-orchestrator\[inspect\]'"


@pytest.fixture(autouse=True)
def _without_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inspect_ai", "inspect_ai.model", "inspect_ai.solver"):
        monkeypatch.setitem(sys.modules, name, None)


def test_without_the_extra_the_solver_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=INSTALL):
        inspect_solver(PIPELINE)


def test_what_hands_on_from_problem_to_problem_is_refused() -> None:
    strategy = {"use": "draft_target", "carry": 2}
    carrying = Pipeline.model_validate({"models": {"main": "inspect"}, "strategy": strategy})
    with pytest.raises(ConfigError, match="samples have no order"):
        inspect_solver(carrying)


def test_without_the_extra_the_backend_says_what_to_install() -> None:
    async def main() -> None:
        async with Inspect().open():
            raise AssertionError

    with pytest.raises(ConfigError, match=INSTALL):
        anyio.run(main)


def test_retries_are_inspect_s() -> None:
    assert Inspect().retry.attempts == 1
    assert "retry" not in Inspect().identity()


def state_of(*messages: tuple[str, Any]) -> Any:
    """What the solver reads of Inspect's state: messages whose text is that of their parts."""
    told = []
    for role, content in messages:
        parts = [] if isinstance(content, str) else content
        text = content if isinstance(content, str) else "".join(part.text for part in parts)
        told.append(SimpleNamespace(role=role, content=content, text=text))
    return SimpleNamespace(messages=told, sample_id="s1")


def test_a_question_alone_is_the_problem() -> None:
    parts = [SimpleNamespace(type="text", text="1 + 1?")]
    state = state_of(("system", "Be brief."), ("user", parts))
    assert _problem(PIPELINE, state).text == "Be brief.\n\n1 + 1?"


def test_few_shot_examples_keep_their_answers() -> None:
    state = state_of(("user", "1 + 1?"), ("assistant", "2"), ("user", "2 + 2?"))
    text = _problem(PIPELINE, state).text
    assert text == "User: 1 + 1?\n\nAssistant: 2\n\nUser: 2 + 2?"


def test_what_is_no_text_is_refused() -> None:
    picture = [SimpleNamespace(type="image", text=""), SimpleNamespace(type="text", text="What?")]
    with pytest.raises(ConfigError, match="sample s1: a message holds content of the kind 'image'"):
        _problem(PIPELINE, state_of(("user", picture)))
    with pytest.raises(ConfigError, match="a call of a tool"):
        _problem(PIPELINE, state_of(("user", "1 + 1?"), ("tool", "2")))
