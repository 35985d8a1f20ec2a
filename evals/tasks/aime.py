"""AIME 2024 and 2025: answers are whole numbers of 0 to 999."""

from __future__ import annotations

from typing import Any, Final, Literal

from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.competition import competition_problem
from tts.evals.tasks.files import FileTask, Hub

__all__ = ["AIME"]

_HUBS: Final = {
    2024: Hub("HuggingFaceH4/aime_2024", "train"),
    2025: Hub("math-ai/aime25", "test"),
}


class AIME(FileTask, name="aime"):
    """The 30 problems of the American Invitational Mathematics Examination of a year.

    Thirty problems tell little apart: the smallest difference that two strategies can show on them
    is large. Problems are copyright of the MAA.
    """

    year: Literal[2024, 2025] = 2025
    """Whose problems; with `path`, only a name."""

    @property
    def title(self) -> str:
        """The name with the year."""
        return f"aime {self.year}"

    @property
    def copy_on_hub(self) -> Hub:
        """The year's copy."""
        return _HUBS[self.year]

    @property
    def checker(self) -> Checker:
        """The number, exactly."""
        return Numeric()

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem; see `competition_problem`."""
        return competition_problem(row)
