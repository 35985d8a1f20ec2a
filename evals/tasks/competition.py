"""Problems of mathematics competitions whose answers are numbers."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import number_in, text_of
from tts.problem import Problem

__all__ = ["competition_problem"]


def competition_problem(row: dict[str, Any]) -> Example:
    """Return the problem of a line with `question` (or `problem`), `answer`, and maybe `id`.

    Raises:
        ConfigError: If a field is missing, or the answer is no number.
    """
    question = text_of(row, "question", "problem")
    return Example(
        id=text_of(row, "id") if "id" in row else identity(question),
        problem=Problem(text=question, answer_format=AnswerFormat(kind="number")),
        answer=number_in(text_of(row, "answer")),
    )
