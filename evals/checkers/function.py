"""A check of one's own: a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from pydantic import Field, PrivateAttr

from tts.allow_list import imported
from tts.errors import ConfigError
from tts.evals.checkers.base import Checker, CheckFailed, is_for_show
from tts.registry import mistake
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Function"]


class Function(Checker, name="function"):
    """A Python function of the answer and the example that returns True or False.

    It must be on the allow-list of `tts.allow_list.allow_tools` (`--allow-tools`), as a file alone
    may run no code. It runs in a thread, or is awaited if it is asynchronous; abstentions are wrong
    and do not reach it. What it raises, and any other result, is a failure of the check.
    """

    reads_text = False

    path: str
    """`package.module.function`."""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How long it may take; after that the check has failed, and a thread is left behind."""
    _function: Callable[[str, Example], Any] | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Check the allow-list and import the function: later nobody could say no."""
        if is_for_show():
            return
        try:
            self._function = _function(self.path)
        except ConfigError as error:
            raise mistake(Function, ("path",), error.message, self.path) from error

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Ask the function.

        Raises:
            CheckFailed: If it raises, takes too long, or returns no truth value, or the checker was
                made for show.
        """
        if self._function is None:
            raise CheckFailed(f"{self.path}: it was made for show, without leave to import it")
        if answer is None:
            return False
        try:
            with anyio.fail_after(self.seconds):
                verdict = await self._verdict(answer, example)
        except Exception as error:  # a user's code: whatever it raises costs a check, not the run
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise CheckFailed(f"{self.path}: {reason}") from error
        if not isinstance(verdict, bool):
            raise CheckFailed(f"{self.path}: returned {type(verdict).__name__}, not a truth value")
        return verdict

    async def _verdict(self, answer: str, example: Example) -> object:
        function = self._function
        assert function is not None  # since the object exists
        if inspect.iscoroutinefunction(function):
            return await function(answer, example)
        return await in_thread(lambda: function(answer, example), "checker")


def _function(path: str) -> Callable[[str, Example], Any]:
    found = imported(path)
    if not callable(found):
        raise ConfigError(f"{path!r} is no function")
    return found  # type: ignore[no-any-return]  # callable, and its results are checked
