"""Letters of options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Choice"]

_LETTER: Final = AnswerFormat(kind="choice")


class Choice(Checker, name="choice"):
    """The letter of an option, A to J: `b`, `(B)` and `B.` are the same."""

    reads_text = False

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that is no letter."""
        if _LETTER.extract(example.answer) is not None:
            return None
        shown = repr(example.answer[:60])
        return f"the right answer {shown} is no letter A to J; exact takes the text of an option"

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the letters.

        Raises:
            CheckFailed: If the right answer is no letter.
        """
        if reason := self.misfit(example):
            raise CheckFailed(reason)
        return answer is not None and _LETTER.extract(answer) == _LETTER.extract(example.answer)
