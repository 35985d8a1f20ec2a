"""Answers compared as mathematics by math-verify, in a process that can be killed."""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tts.answers import canonical
from tts.evals.checkers.base import Checker, CheckFailed
from tts.evals.checkers.exact import blank
from tts.evals.checkers.worker import Worker
from tts.registry import mistake
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["MathVerify"]


class MathVerify(Checker, name="math_verify"):
    """The same value, set, interval, tuple or equation, by math-verify (extra `math`).

    It works in one process beside this one, started at the first answer whose canonical form is
    not the right one's; where it takes too long, that process is killed, the check has failed, and
    the next begins another.
    """

    reads_text = False

    seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    """How long one comparison may take."""

    def model_post_init(self, context: Any) -> None:
        """Refuse without the extra, before anything is spent."""
        if find_spec("math_verify") is None:
            message = "it needs pip install tts-orchestrator[math]"
            raise mistake(MathVerify, (), message, self.name)

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that says nothing; what cannot be read shows when compared."""
        return blank(example)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare.

        Raises:
            CheckFailed: If the right answer cannot be read, or there is no result in time.
        """
        if answer is None:
            return False
        if canonical(answer) == canonical(example.answer):
            return True
        asked = partial(_compared, example.answer, answer, self.seconds)
        return bool(await in_thread(asked, "math-verify"))


@lru_cache(maxsize=4096)  # failures are not kept
def _compared(right: str, given: str, seconds: float) -> bool:
    told = _worker.ask({"right": right, "given": given}, seconds)
    if "equal" not in told:
        raise CheckFailed(f"math-verify: {told.get('failed', 'no result')}")
    return bool(told["equal"])


_worker = Worker("math_worker.py", "math-verify")
