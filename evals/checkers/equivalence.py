"""The library's own equality of answers."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from tts.answers import canonical, equivalent
from tts.canonical import rational
from tts.evals.checkers.base import Checker
from tts.evals.checkers.exact import blank
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Equivalent"]


class Equivalent(Checker, name="equivalent"):
    """The same answer in canonical form, as votes count it.

    With the extra `math`, expressions are compared as mathematics too, where that is soon done, in
    a thread.
    What it cannot compare it takes for different: `math_verify` reads more.
    """

    reads_text = False

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that says nothing."""
        return blank(example)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the canonical forms."""
        if answer is None:
            return False
        given, right = canonical(answer), canonical(example.answer)
        if given == right or (rational(given) is not None and rational(right) is not None):
            return given == right
        return bool(await in_thread(partial(_compared, given, right), "equivalence"))


_one_at_a_time = Lock()


def _compared(given: str, right: str) -> bool:
    with _one_at_a_time:  # a computer-algebra system keeps much in common
        return equivalent(given, right)
