"""HumanEval: functions to be written from their docstrings, judged by running tests."""

from __future__ import annotations

from typing import Any

from tts.evals.checkers.base import Checker
from tts.evals.checkers.code import code_checker
from tts.evals.tasks.base import Example
from tts.evals.tasks.files import FileTask, Hub, text_of
from tts.evals.tasks.programs import IN_A_BLOCK, program_with
from tts.problem import Problem

__all__ = ["HumanEval"]


class HumanEval(FileTask, name="humaneval"):
    """164 Python functions to complete; judged by running the tests, which must be allowed.

    The answer is the last fenced block of a completion that defines the function, else the last
    that defines anything; what stands above the function in the prompt, imports and helpers, is put
    before it.

    Source: Chen et al. 2021, arXiv:2107.03374.
    """

    hub = Hub("openai/openai_humaneval", "test")

    @property
    def checker(self) -> Checker:
        """The tests, run.

        Raises:
            ConfigError: Without leave to run programs of models.
        """
        return code_checker()

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing.
        """
        prompt, function = text_of(row, "prompt"), text_of(row, "entry_point")
        return Example(
            id=text_of(row, "task_id", "id"),
            problem=Problem(
                text=f"Complete this Python function.\n\n```python\n{prompt.strip()}\n```\n\n"
                f"{IN_A_BLOCK}",
                answer_format=program_with(function),
            ),
            answer=f"{text_of(row, 'test')}\n\ncheck({function})\n",
            extra={"before": prompt, "solution": prompt + text_of(row, "canonical_solution")},
        )
