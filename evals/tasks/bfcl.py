"""BFCL: which functions are to be called, with which arguments?"""

from __future__ import annotations

import json
from typing import Any, Final

from tts.answers import AnswerFormat
from tts.errors import ConfigError
from tts.evals.checkers.base import Checker, CheckFailed
from tts.evals.checkers.function_calls import FunctionCalls, first_right
from tts.evals.tasks.base import Example
from tts.evals.tasks.files import FileTask, field_of, list_of, text_of
from tts.problem import Problem

__all__ = ["BFCL"]

_FORM: Final = (
    "Answer with one line: a Python list of the calls to make, such as "
    '[name(parameter="text", other=2)], every argument by its name. Nothing is called for you.'
)


class BFCL(FileTask, name="bfcl"):
    """Single-turn problems of the Berkeley Function-Calling Leaderboard: name the calls to make.

    Lines have `messages`, `functions` and `ground_truth`, and maybe `category`. `category` keeps
    one of them, such as `parallel_multiple`.

    Source: Patil et al. 2025, the leaderboard's fourth version; the check of its syntax trees.
    """

    category: str | None = None
    """Take only lines of this category."""

    @property
    def title(self) -> str:
        """The name with the category."""
        return f"bfcl {self.category}" if self.category else "bfcl"

    @property
    def checker(self) -> Checker:
        """The calls expected, in any order."""
        return FunctionCalls()

    def read(self, row: dict[str, Any], number: int) -> Example | None:
        """Return a line's problem, or None if it is of another category.

        Raises:
            ConfigError: If a field is missing, or of another kind.
        """
        category = row.get("category", "")
        if self.category is not None and category != self.category:
            return None
        functions = "\n".join(map(json.dumps, list_of(row, "functions", dict)))
        messages = list_of(row, "messages", dict)
        asked = "\n\n".join(text_of(message, "content") for message in messages)
        answer = json.dumps(field_of(row, "ground_truth"))
        try:
            solution = first_right(answer)
        except CheckFailed as error:
            raise ConfigError(f"the field 'ground_truth': {error}") from error
        return Example(
            id=text_of(row, "id"),
            problem=Problem(
                text=f"These functions can be called:\n{functions}\n\n{asked}\n\n{_FORM}",
                answer_format=AnswerFormat(kind="text"),
            ),
            answer=answer,
            extra={"category": category, "solution": solution},
        )
