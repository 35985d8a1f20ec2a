"""Numbers, exactly or within a tolerance."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from tts.answers import canonical
from tts.canonical import bare_answer, rational
from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Numeric", "number_of"]

_PERCENT: Final = re.compile(r"(?:%|\bpercent)$", re.IGNORECASE)

Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Numeric(Checker, name="numeric"):
    """The number asked for; units, signs of currency and separators do not matter.

    Compared as exact fractions. An answer that is no number is wrong; a right answer that is none
    is a failure of the check.
    """

    reads_text = False

    relative: Tolerance = 0.0
    """How far it may be off, as a share of the right one; 0.1 is ten percent."""
    absolute: Tolerance = 0.0
    """How far it may be off in any case; the larger of the two counts."""
    percent: bool = False
    """Whether, where the right answer has no percent sign, the same number with one is right."""

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that is no number."""
        if number_of(example.answer) is not None:
            return None
        shown = repr(example.answer[:60])
        return f"the right answer {shown} is no number; exact and equivalent take other answers"

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the numbers.

        Raises:
            CheckFailed: If the right answer is no number.
        """
        right = number_of(example.answer)
        if right is None:
            raise CheckFailed(self.misfit(example) or "the right answer is no number")
        given = None if answer is None else number_of(answer)
        if answer is None or given is None:
            return False
        if given == right:
            return True
        if not (self.relative or self.absolute or self.percent):
            return False
        allowed = max(Fraction(self.relative) * abs(right), Fraction(self.absolute))
        read = [given]
        if self.percent and _in_percent(answer) and not _in_percent(example.answer):
            read.append(given * 100)
        return any(abs(number - right) <= allowed for number in read)


def _in_percent(answer: str) -> bool:
    return _PERCENT.search(bare_answer(answer)) is not None


def number_of(answer: str) -> Fraction | None:
    """Return the number that an answer is, or None.

    >>> number_of("$1,200")
    Fraction(1200, 1)
    """
    return rational(canonical(answer))
