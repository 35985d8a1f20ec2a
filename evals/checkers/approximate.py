"""Answers that are words, years or rough numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from tts.evals.checkers.base import Checker
from tts.evals.checkers.exact import blank, plain_words
from tts.evals.checkers.numeric import number_of

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Approximate"]

_YEAR: Final = re.compile(r"1[0-9]{3}|20[0-9]{2}")


class Approximate(Checker, name="approximate"):
    """A number within a share of the right one; years and words exactly.

    A year is a right answer that is a whole number of 1000 to 2099 without separator or unit. Words
    are compared without case, punctuation and articles.

    Source: the scoring of ParallelQA, Kim et al. 2023, arXiv:2312.04511, section 5.2.
    """

    reads_text = False

    relative: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """How far a number may be off, as a share of the right one."""
    years: bool = True
    """Whether years must be exact; without, they are numbers like others."""

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that says nothing."""
        return blank(example)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare numbers as numbers, all else as words."""
        if answer is None:
            return False
        right, given = number_of(example.answer), number_of(answer)
        if right is None:
            return plain_words(answer) == plain_words(example.answer)
        if given is None:
            return False
        exact = self.years and _YEAR.fullmatch(example.answer.strip()) is not None
        return abs(given - right) <= (0 if exact else abs(right) * self.relative)
