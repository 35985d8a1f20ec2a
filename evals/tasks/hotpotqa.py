"""HotpotQA, comparison questions: two things are looked up and compared."""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.exact import Exact
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import FileTask, Hub, text_of
from tts.problem import Problem

__all__ = ["HotpotQA"]


class HotpotQA(FileTask, name="hotpotqa"):
    """Comparison questions of HotpotQA, without the articles: 1,487 of the development set.

    For strategies with a search. Lines of another `type` are passed over; a line without one is
    taken. The answer is compared in words, the exact match of the original.

    Source: Yang et al. 2018, arXiv:1809.09600.
    """

    hub = Hub("hotpotqa/hotpot_qa", "validation", "distractor")

    @property
    def checker(self) -> Checker:
        """The words, without case, punctuation and articles."""
        return Exact(by="words")

    def read(self, row: dict[str, Any], number: int) -> Example | None:
        """Return a line's problem, or None if it is no comparison.

        Raises:
            ConfigError: If a field is missing.
        """
        if row.get("type", "comparison") != "comparison":
            return None
        question = text_of(row, "question")
        return Example(
            id=text_of(row, "id", "_id") if "id" in row or "_id" in row else identity(question),
            problem=Problem(text=question, answer_format=AnswerFormat(kind="text")),
            answer=text_of(row, "answer"),
            extra={"level": row["level"]} if "level" in row else {},
        )
