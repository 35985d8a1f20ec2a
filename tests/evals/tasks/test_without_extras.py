"""Tasks that need an extra say so."""

from __future__ import annotations

import builtins
from types import ModuleType
from typing import Any

import pytest

from tts import ConfigError
from tts.evals.checkers.gym import ReasoningGym as GymChecker
from tts.evals.tasks import Task


def test_reasoning_gym_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def refuse(name: str, *rest: Any) -> ModuleType:
        if name.startswith("reasoning_gym"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    task = Task.parse({"use": "reasoning_gym", "dataset": "chain_sum"})
    assert task.checker == GymChecker()
    with pytest.raises(ConfigError, match=r"tts-orchestrator\[reasoning\]"):
        task.examples()
