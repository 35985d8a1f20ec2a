"""Movie Recommendation: which of four films is most like four others?"""

from __future__ import annotations

from typing import Any

from tts.answers import AnswerFormat
from tts.errors import ConfigError
from tts.evals.checkers.base import Checker
from tts.evals.checkers.exact import Exact, plain_words
from tts.evals.tasks.base import Example
from tts.evals.tasks.files import FileTask, text_of
from tts.problem import Problem

__all__ = ["Movies"]


class Movies(FileTask, name="movies"):
    """500 questions that name four films and four options, of which one is like them.

    For strategies with a search, eight of which can be called at once. The answer is the title.

    Source: BIG-bench, arXiv:2206.04615, in the form of Kim et al. 2023, arXiv:2312.04511.
    """

    @property
    def checker(self) -> Checker:
        """The title, without case, punctuation and articles."""
        return Exact(by="words")

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing, or the answer is none of the options.
        """
        question, answer = text_of(row, "question").strip(), text_of(row, "answer")
        options = question.partition("Options:")[2].split("\n")
        if plain_words(answer) not in map(plain_words, options):
            raise ConfigError("the answer is none of the options")
        return Example(
            id=text_of(row, "id"),
            problem=Problem(
                text=f"{question}\n\nAnswer with the title of one option.",
                answer_format=AnswerFormat(kind="text"),
            ),
            answer=answer,
        )
