"""A regular expression that the answer must match."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Regex"]


class Regex(Checker, name="regex"):
    """A regular expression that matches: the task's, or each problem's right answer.

    Patterns are the user's own and run without a time limit: one that goes back and forth, such as
    `(a+)+b`, can hang on a long text.
    """

    pattern: str | None = None
    """The expression for all problems; None takes each problem's right answer as one."""
    within: Literal["answer", "text"] = "answer"
    """What is searched: the extracted answer, all of which must match, or the whole completion,
    some part of which must."""
    ignore_case: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Match.

        Raises:
            CheckFailed: If the right answer is no regular expression.
        """
        pattern = example.answer if self.pattern is None else self.pattern
        try:
            compiled = re.compile(pattern, re.IGNORECASE if self.ignore_case else 0)
        except re.error as error:
            raise CheckFailed(f"{pattern[:60]!r} is no regular expression: {error}") from error
        if answer is None:
            return False
        if self.within == "text":
            return compiled.search(text) is not None
        return compiled.fullmatch(answer.strip()) is not None
