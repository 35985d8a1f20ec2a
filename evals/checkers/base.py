"""What a checker is: it says right or wrong, or that it failed, which is neither."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

from tts.errors import TTSError
from tts.registry import Component

if TYPE_CHECKING:  # an example's task has a checker
    from tts.evals.tasks.base import Example

__all__ = ["CheckFailed", "Checker", "is_for_show", "made_for_show"]

_for_show: ContextVar[bool] = ContextVar("checkers are made for show", default=False)


@contextmanager
def made_for_show() -> Iterator[None]:
    """Make checkers in this block without the leave that they need: they will judge nothing.

    They have their name and settings and know what they cannot read; nothing is run or imported
    for them.
    """
    token = _for_show.set(True)
    try:
        yield
    finally:
        _for_show.reset(token)


def is_for_show() -> bool:
    """Return whether a checker made here needs no leave, and so may not judge."""
    return _for_show.get()


class CheckFailed(TTSError):
    """A checker could not judge an answer: counted apart, never taken for wrong."""


class Checker(Component, group="tts.checkers", label="checker"):
    """Judges answers. The object is its configuration."""

    reads_text: ClassVar[bool] = True
    """False if the verdict depends on the answer alone: equal ones are then judged once."""

    def misfit(self, example: Example) -> str | None:
        """Return why no answer to a problem could ever be right, and what would do; else None.

        Tasks that read files ask it of every line, so that what cannot be judged is refused before
        anything is paid for. One line of text; soon said, and nothing is run.
        """
        return None

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
