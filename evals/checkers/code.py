"""Programs, judged by running them with a test. Off unless the user allows it."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from pydantic import Field, PrivateAttr, ValidationError

from tts.errors import ConfigError
from tts.evals.checkers.base import Checker, CheckFailed, is_for_show
from tts.evals.checkers.rules import rules_for
from tts.registry import mistake

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Code", "allow_code_execution", "code_checker", "is_code_allowed"]

_allowed: ContextVar[bool] = ContextVar("code may be run", default=False)
_logger = logging.getLogger(__name__)
_MEGABYTE: Final = 1 << 20
_NO_LEAVE: Final = (
    "this checker runs programs that models wrote: if you want that, add --allow-code-execution, "
    "or in Python `with allow_code_execution():`"
)
_MOST_READ: Final = 4096
_WALLS: Final = {
    "namespaces": "they may reach the network and outlive the check by native code",
    "read_only": "they have no folder to write to",
    "landlock": (
        "they can read whatever you can, keys and the environment included, and have no folder to "
        "write to"
    ),
    "limits": "they may take any time and memory",
    "seccomp": "they may start processes and change files by native code",
    "hook": "Python refuses them nothing",
}
"""Each wall, and what goes where it is missing."""
_told: set[tuple[str, ...]] = set()


@contextmanager
def allow_code_execution() -> Iterator[None]:
    """Allow checkers that are made in this block to run programs that models wrote.

    Only Python and the command line (`--allow-code-execution`) can; no file can.
    """
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def is_code_allowed() -> bool:
    """Return whether a checker made here may run programs."""
    return _allowed.get()


class Code(Checker, name="code"):
    """Run the answer, a Python program, and then the problem's right answer, a test program.

    Right is what runs to the end of the test without an exception; a test may also end itself by
    `SystemExit` without an error, as `unittest.main()` does. It runs in a process of its own
    with limits on time and memory, no variables of ours, no network, no other processes and no
    files but Python's own and those of an empty folder in memory, as far as the system has walls
    for that; each that is missing is told once as a warning. The walls keep accidents in and most
    attacks; an answer that sets out to fool the test in its own process can. Posix only.

    A program's `__name__` is not `__main__`, so its main block does not run; the test's does.

    Exceeding the limits of processor time or memory, or ending early, is wrong. Not being done in
    `seconds`, though the processor time is not used up, is a failure of the check: the machine may
    be overloaded. So is being killed from outside.
    """

    reads_text = False

    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """Processor time of program and test together."""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """By the clock."""
    memory_mb: Annotated[int, Field(ge=64, le=65536)] = 1024
    """Most address space, in MiB."""

    _may_run: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any) -> None:
        """Refuse without leave: later nobody could say no."""
        if is_for_show():
            return
        if not is_code_allowed():
            raise mistake(Code, (), _NO_LEAVE, self.name)
        if sys.platform == "win32":
            raise mistake(Code, (), "it sets limits that only Posix systems have", self.name)
        self._may_run = True

    def misfit(self, example: Example) -> str | None:
        """Refuse a test that no program can pass, since it is no Python. It is not run."""
        return _misread(example.answer)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Run the program and its test.

        Raises:
            CheckFailed: If the checker was made for show, the test is no Python, no process could
                be started, it is not done in time, or ended in a way that says nothing about the
                program.
        """
        if not self._may_run:
            raise CheckFailed("it was made for show, without leave to run programs")
        if reason := self.misfit(example):
            raise CheckFailed(reason)
        if answer is None or not answer.strip():
            return False
        token = secrets.token_hex(16)
        told = await self._told(json.dumps(self._order(answer, example, token)))
        _tell(told["walls"])
        if told["told"] in {token, "wrong"}:
            return bool(told["told"] == token)
        killed = told["signal"] in {signal.SIGKILL, signal.SIGTERM}
        if killed and told["cpu_seconds"] < self.cpu_seconds - 0.5:
            raise CheckFailed("the program was killed from outside; maybe memory ran out")
        return False  # it has ended itself, or crashed, or used up its time

    def _order(self, answer: str, example: Example, token: str) -> dict[str, Any]:
        machine = platform.machine() if sys.platform == "linux" else ""
        return {
            "before": example.extra.get("before", ""),
            "program": answer,
            "test": example.answer,
            "token": token,
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_mb * _MEGABYTE,
            "rules": rules_for(machine),
            "parent": os.getpid(),
        }

    async def _told(self, order: str) -> dict[str, Any]:
        """Run the sandbox in an empty folder; return what it answered."""
        try:
            with TemporaryDirectory(prefix="tts-code-") as folder, anyio.fail_after(self.seconds):
                line = await _answered(order.encode(), folder)
        except TimeoutError as error:
            raise CheckFailed(f"the program was not done in {self.seconds:g} seconds") from error
        except OSError as error:
            raise CheckFailed(f"no process for the program: {error.strerror}") from error
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            told = {}
        if not told.get("walls"):
            raise CheckFailed("the process for the program ended at its start, or was killed")
        return told


async def _answered(order: bytes, folder: str) -> bytes:
    """Run the sandbox; return the first of what it writes, and end what is left of it."""
    command = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("sandbox.py"))]
    async with await anyio.open_process(
        command, stderr=subprocess.DEVNULL, cwd=folder, env={}, start_new_session=True
    ) as process:
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        line = b""
        try:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await process.stdin.send(order)
                await process.stdin.aclose()
                while len(line) < _MOST_READ and not line.endswith(b"\n"):
                    line += await process.stdout.receive(_MOST_READ)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)
        return line


def code_checker() -> Code:
    """Return the checker, for tasks that have no other.

    Raises:
        ConfigError: Without leave to run programs of models, or where it cannot run.
    """
    try:
        return Code()
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"]) from error


def _misread(test: str) -> str | None:
    """Return why a test is no Python, if it is none."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(test, "<test>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"the test is no Python: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"the test is no Python: {error or type(error).__name__}"
    return None


def _tell(walls: list[str]) -> None:
    """Say once which walls are missing, and what that means."""
    missing = tuple(name for name in _WALLS if name not in walls)
    if not missing or missing in _told:
        return
    _told.add(missing)
    _logger.warning(
        "programs of models run here without all walls: %s",
        "; ".join(f"no {name}, so {_WALLS[name]}" for name in missing),
    )
