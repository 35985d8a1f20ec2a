"""A regular expression that the answer must match."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tts.answers import Pattern
from tts.evals.checkers.base import Checker, CheckFailed
from tts.evals.checkers.exact import blank
from tts.evals.checkers.worker import Worker
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Regex"]


class Regex(Checker, name="regex"):
    """A regular expression that matches: the task's, or each problem's right answer.

    Matching runs in one process beside this one: where a pattern goes back and forth on a text for
    too long, as `(a+)+b` can, that process is killed and the check has failed.
    """

    pattern: Pattern | None = None
    """The expression for all problems; None takes each problem's right answer as one."""
    within: Literal["answer", "text"] = "answer"
    """What is searched: the extracted answer, all of which must match, or the whole completion,
    some part of which must, be there an answer or not."""
    ignore_case: bool = False
    """Whether upper and lower case are the same."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long one match may take."""

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that is no regular expression, where it is taken as one."""
        if self.pattern is None and self.within == "answer" and (reason := blank(example)):
            return reason
        pattern = example.answer if self.pattern is None else self.pattern
        try:
            re.compile(pattern, self._flags)
        except (re.error, RecursionError, OverflowError) as error:
            reason = f"{pattern[:60]!r} is no regular expression: {error}"
            return f"{reason}; exact compares texts as they are"
        return None

    @property
    def _flags(self) -> re.RegexFlag:
        return re.IGNORECASE if self.ignore_case else re.NOFLAG

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Match.

        Raises:
            CheckFailed: If the right answer is no regular expression, or there is no result in
                time.
        """
        if reason := self.misfit(example):
            raise CheckFailed(reason)
        whole = self.within == "answer"
        if whole and answer is None:
            return False
        searched = (answer or "").strip() if whole else text
        order = {
            "pattern": example.answer if self.pattern is None else self.pattern,
            "flags": int(self._flags),
            "text": searched,
            "whole": whole,
            "seconds": self.seconds,
        }
        told = await in_thread(partial(_worker.ask, order, self.seconds), "regex")
        return bool(told["matches"])


_worker = Worker("regex_worker.py", "the regular expression")
