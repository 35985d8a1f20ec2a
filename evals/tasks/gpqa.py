"""GPQA: science questions with four options, hard even with a search engine."""

from __future__ import annotations

import random
from typing import Any, Final

from tts.answers import AnswerFormat
from tts.errors import ConfigError
from tts.evals.checkers.base import Checker
from tts.evals.checkers.choice import Choice
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import identity
from tts.evals.tasks.files import FileTask, Hub, text_of
from tts.problem import Problem

__all__ = ["GPQA"]

_WRONG: Final = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


class GPQA(FileTask, name="gpqa"):
    """Graduate science questions with four options, lettered in an order of each question's own.

    Lines have the columns of the original: `Question`, `Correct Answer`, `Incorrect Answer 1` to
    `3`, and maybe `Record ID` and `High-level domain`. The order is drawn from the question and
    the seed. The Hub's copy is behind a gate: its authors ask that no problem be published.

    Source: Rein et al. 2023, arXiv:2311.12022.
    """

    hub = Hub("Idavidrein/gpqa", "train", "gpqa_diamond")

    @property
    def checker(self) -> Checker:
        """The letter."""
        return Choice()

    def read(self, row: dict[str, Any], number: int) -> Example:
        """Return a line's problem.

        Raises:
            ConfigError: If a field is missing, or two letters would be right.
        """
        question, right = text_of(row, "Question").strip(), text_of(row, "Correct Answer").strip()
        wrong = [text_of(row, name).strip() for name in _WRONG]
        if right in wrong:
            raise ConfigError(f"the right answer {right[:40]!r} is among the wrong ones, too")
        options = [right, *wrong]
        random.Random(f"gpqa:{self.seed}:{question}").shuffle(options)
        shown = "\n".join(
            f"({letter}) {option}" for letter, option in zip("ABCD", options, strict=True)
        )
        named = row.get("Record ID") is not None
        domain = row.get("High-level domain")
        return Example(
            id=text_of(row, "Record ID") if named else identity(question),
            problem=Problem(
                text=f"{question}\n\n{shown}", answer_format=AnswerFormat(kind="choice")
            ),
            answer="ABCD"[options.index(right)],
            extra={} if domain is None else {"domain": domain},
        )

    def said(self, row: dict[str, Any], example: Example) -> str:
        """Return the question without the options, whose order is the seed's."""
        return text_of(row, "Question").strip()
