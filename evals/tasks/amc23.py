"""AMC 2023: 40 competition problems with numbers as answers."""

from __future__ import annotations

from typing import Any

from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.competition import competition_problem
from tts.evals.tasks.files import FileTask, Hub

__all__ = ["AMC23"]


class AMC23(FileTask, name="amc23"):
    """40 problems of the American Mathematics Competitions of 2023, with numbers as answers.

    As in Qwen2.5-Math's evaluation, options are left out. Problems are copyright of the MAA.
    """

    hub = Hub("math-ai/amc23", "test")

    @property
    def checker(self) -> Checker:
        """The number, exactly."""
        return Numeric()

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem; see `competition_problem`."""
        return competition_problem(row)
