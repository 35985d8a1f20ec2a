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

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the letters.

        Raises:
            CheckFailed: If the right answer is no letter.
        """
        right = _LETTER.extract(example.answer)
        if right is None:
            raise CheckFailed(f"the right answer {example.answer[:60]!r} is no letter A to J")
        return answer is not None and _LETTER.extract(answer) == right
