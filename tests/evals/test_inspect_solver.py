from __future__ import annotations

import sys

import anyio
import pytest

from tts import ConfigError, Pipeline
from tts.backends.inspect import Inspect
from tts.evals.inspect_solver import inspect_solver

PIPELINE = Pipeline.model_validate({"models": {"main": "inspect"}, "strategy": "self_consistency"})
INSTALL = r"pip install 'tts-orchestrator\[inspect\]'"


@pytest.fixture(autouse=True)
def _without_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inspect_ai", "inspect_ai.model", "inspect_ai.solver"):
        monkeypatch.setitem(sys.modules, name, None)


def test_without_the_extra_the_solver_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=INSTALL):
        inspect_solver(PIPELINE)


def test_without_the_extra_the_backend_says_what_to_install() -> None:
    async def main() -> None:
        async with Inspect().open():
            raise AssertionError

    with pytest.raises(ConfigError, match=INSTALL):
        anyio.run(main)


def test_retries_are_inspect_s() -> None:
    assert Inspect().retry.attempts == 1
    assert "retry" not in Inspect().identity()
