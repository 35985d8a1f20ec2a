"""GSM8K: grade-school word problems."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import FileTask, Hub, number_in, text_of
from tts.problem import Problem

__all__ = ["GSM8K"]


class GSM8K(FileTask, name="gsm8k"):
    """Grade-school word problems with a number as the answer; 1,319 in the test set.

    Lines have `question` and `answer`: the number, or as in the original a solution with the
    number behind `####`.

    Source: Cobbe et al. 2021, arXiv:2110.14168.
    """

    hub = Hub("openai/gsm8k", "test", "main")

    @property
    def checker(self) -> Checker:
        """The number, exactly; where a percentage is asked for, with the sign or without."""
        return Numeric(percent=True)

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing, or the answer is no number.
        """
        question = text_of(row, "question")
        solution, _, answer = text_of(row, "answer").rpartition("####")
        steps = row.get("steps") or sum(map(bool, map(str.strip, solution.splitlines()))) or None
        return Example(
            id=text_of(row, "id") if "id" in row else identity(question),
            problem=Problem(text=question, answer_format=AnswerFormat(kind="number")),
            answer=number_in(answer),
            extra={} if steps is None else {"steps": steps},
        )
