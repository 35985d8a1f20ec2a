"""MBPP: short Python functions from a sentence, judged by running tests."""

from __future__ import annotations

from typing import Any

from tts.evals.checkers.base import Checker
from tts.evals.checkers.code import code_checker
from tts.evals.tasks.base import Example
from tts.evals.tasks.files import FileTask, Hub, list_of, text_of
from tts.evals.tasks.programs import IN_A_BLOCK, defined_for, program_with
from tts.problem import Problem

__all__ = ["MBPP"]


class MBPP(FileTask, name="mbpp"):
    """Python functions from a sentence and a test; judged by running tests, which must be allowed.

    Lines have `text` (or `prompt`), `code` and `test_list`, and maybe `test_setup_code` or
    `test_imports`. The first test is shown, as it names the function. The answer is the last fenced
    block of a completion that defines that function, else the last that defines anything.

    Source: Austin et al. 2021, arXiv:2108.07732.
    """

    hub = Hub("google-research-datasets/mbpp", "test", "full")

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
            ConfigError: If a field is missing, or of another kind.
        """
        told, tests = text_of(row, "text", "prompt"), list_of(row, "test_list", str)
        solution = text_of(row, "code")
        setup = list_of(row, "test_imports", str) if row.get("test_imports") else []
        if row.get("test_setup_code"):
            setup.append(text_of(row, "test_setup_code"))
        return Example(
            id=text_of(row, "task_id", "id"),
            problem=Problem(
                text=f"{told.strip()}\nIt must pass this test:\n```python\n{tests[0]}\n```\n\n"
                f"{IN_A_BLOCK}",
                answer_format=program_with(defined_for(solution, tests[0])),
            ),
            answer="\n".join([*setup, *tests]) + "\n",
            extra={"solution": solution},
        )
