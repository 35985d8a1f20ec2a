"""Answers compared as mathematics by math-verify, in a process that can be killed."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Timer
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from tts.answers import canonical
from tts.evals.checkers.base import Checker, CheckFailed
from tts.registry import mistake
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["MathVerify"]

_START_SECONDS: Final = 120.0
"""Until a busy machine has imported sympy."""


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


class _Worker:
    """The process, which answers one question at a time and ends with this one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, order: dict[str, str], seconds: float) -> dict[str, Any]:
        """Send an order and wait for its answer.

        Raises:
            CheckFailed: If there is none in time.
        """
        with self._lock:
            process = self._running()
            try:
                line = self._answered(process, json.dumps(order) + "\n", seconds)
            except OSError:
                line = ""
            if not line:
                self._end()
                raise CheckFailed(f"math-verify had no result in {seconds:g} seconds")
            return dict(json.loads(line))

    def _running(self) -> subprocess.Popen[str]:
        if self._owner != os.getpid():  # a fork has copied it; the original is its parent's
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            script = Path(__file__).with_name("math_worker.py")
            command = [sys.executable, "-P", str(script)]  # its folder has names of other modules
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            try:
                self._process = subprocess.Popen(
                    command, **pipes, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
                )
            except OSError as error:
                raise CheckFailed(f"no process for math-verify: {error.strerror}") from error
            if not self._answered(self._process, "", _START_SECONDS):
                self._end()
                raise CheckFailed("math-verify could not be started")
        return self._process

    def _answered(self, process: subprocess.Popen[str], line: str, seconds: float) -> str:
        """Write a line and read one; after the time the process is killed, and nothing is read."""
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        timer = Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return process.stdout.readline()
        finally:
            timer.cancel()

    def _end(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            with suppress(OSError):  # a line that was never read
                self._process.communicate()
            self._process = None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()


_worker = _Worker()
atexit.register(_worker.close)
