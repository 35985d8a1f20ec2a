"""Problems of one's own, from a file of JSON lines."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.equivalence import Equivalent
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import FileTask, field_of, text_of
from tts.problem import Problem

__all__ = ["JSONLines"]


class JSONLines(FileTask, name="jsonl"):
    """Problems of your own: a file of JSON lines, and which fields hold what."""

    question: str = "question"
    """The field with the problem."""
    answer: str = "answer"
    """The field with the right answer."""
    id: str | None = "id"
    """The field with a name unique in the file; where a line has none, a digest of its problem."""
    keep: tuple[str, ...] = ()
    """Fields that tables may be split by, such as a level; they are kept with the results."""
    instruction: str = ""
    """Put behind every problem, after an empty line."""
    answer_format: AnswerFormat = AnswerFormat()
    """How the answer is found in a completion."""
    check: Checker = Equivalent()
    """How it is judged: a checker's name, or `{use: numeric, relative: 0.01}`."""
    alias: str | None = None
    """What reports call the task; by default the file's name without its ending."""

    @property
    def title(self) -> str:
        """The alias, or the file's name."""
        return self.alias or (self.path.stem if self.path else self.name)

    @property
    def checker(self) -> Checker:
        """The one chosen."""
        return self.check

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing.
        """
        question, answer = text_of(row, self.question), text_of(row, self.answer)
        text = f"{question}\n\n{self.instruction}" if self.instruction else question
        named = self.id is not None and row.get(self.id) is not None
        return Example(
            id=text_of(row, self.id) if named and self.id else identity(question, answer),
            problem=Problem(text=text, answer_format=self.answer_format),
            answer=answer,
            extra={name: field_of(row, name) for name in self.keep},
        )

    def said(self, row: dict[str, Any], example: Example) -> str:
        """Return the question without the instruction."""
        return text_of(row, self.question)
