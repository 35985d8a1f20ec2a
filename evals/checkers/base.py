"""What a checker is: it says right or wrong, or that it failed, which is neither."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tts.errors import TTSError
from tts.registry import Component

if TYPE_CHECKING:  # an example's task has a checker
    from tts.evals.tasks.base import Example

__all__ = ["CheckFailed", "Checker"]


class CheckFailed(TTSError):
    """A checker could not judge an answer: counted apart, never taken for wrong."""


class Checker(Component, group="tts.checkers", label="checker"):
    """Judges answers. The object is its configuration."""

    reads_text: ClassVar[bool] = True
    """False if the verdict depends on the answer alone: equal ones are then judged once."""

    @abstractmethod
    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Return whether an answer is right.

        Args:
            answer: What was extracted as the answer; None, an abstention, is wrong, unless the
                checker judges the text.
            text: The whole completion that carries it, for checkers that read more.
            example: The problem and what is right.

        Raises:
            CheckFailed: If it could not be judged; the reason is one line.
        """
