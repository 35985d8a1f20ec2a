"""MATH-500: competition problems with answers in LaTeX."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.equivalence import Equivalent
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import FileTask, Hub, field_of, text_of
from tts.problem import Problem

__all__ = ["MATH500"]


class MATH500(FileTask, name="math500"):
    """500 competition problems of five levels with answers in LaTeX.

    `check: math_verify` (extra `math`) reads more of the answers than the default and takes a
    process of its own.

    Source: Hendrycks et al. 2021, arXiv:2103.03874; the 500 of Lightman et al. 2023,
    arXiv:2305.20050.
    """

    hub = Hub("HuggingFaceH4/MATH-500", "test")

    check: Checker = Equivalent()
    """How answers are judged."""

    @property
    def checker(self) -> Checker:
        """The one chosen."""
        return self.check

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing.
        """
        question = text_of(row, "question", "problem")
        named = "id" in row or "unique_id" in row
        return Example(
            id=text_of(row, "id", "unique_id") if named else identity(question),
            problem=Problem(text=question, answer_format=AnswerFormat(kind="auto")),
            answer=text_of(row, "answer"),
            extra={
                "subject": text_of(row, "subject"),
                "level": field_of(row, "level"),
            },
        )
