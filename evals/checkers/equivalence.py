"""The library's own equality of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts.answers import canonical, equivalent
from tts.evals.checkers.base import Checker

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Equivalent"]


class Equivalent(Checker, name="equivalent"):
    """The same answer in canonical form, as votes count it.

    With the extra `math`, expressions are compared as mathematics too, where that is soon done.
    What it cannot compare it takes for different: `math_verify` reads more.
    """

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the canonical forms."""
        return answer is not None and equivalent(canonical(answer), canonical(example.answer))
