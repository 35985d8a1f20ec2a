"""ParallelQA: questions that take several searches and calculations at once."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.checkers.approximate import Approximate
from tts.evals.checkers.base import Checker
from tts.evals.tasks.base import Example
from tts.evals.tasks.files import FileTask, field_of, text_of
from tts.problem import Problem

__all__ = ["ParallelQA"]


class ParallelQA(FileTask, name="parallelqa"):
    """113 questions that take searches and calculations, many of which can be called at once.

    For strategies with tools for both. `extra` has `branch`, the number of things searched for.
    A number is right within ten percent, a year exactly, a name word for word.

    Source: Kim et al. 2023, arXiv:2312.04511; the file is in its repository.
    """

    @property
    def checker(self) -> Checker:
        """Numbers within ten percent, all else as words."""
        return Approximate()

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing.
        """
        return Example(
            id=text_of(row, "id"),
            problem=Problem(text=text_of(row, "question"), answer_format=AnswerFormat(kind="text")),
            answer=text_of(row, "answer"),
            extra={"branch": field_of(row, "branch")},
        )
