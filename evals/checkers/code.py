"""Programs, judged by running them with a test. Off unless the user allows it."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from pydantic import Field, ValidationError

from tts.errors import ConfigError
from tts.evals.checkers.base import Checker, CheckFailed
from tts.registry import mistake
from tts.tasks import first_error

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

    Right is what runs to the end of the test without an exception. It runs in a process of its own
    with limits on time and memory, an empty environment, no network, no writing and no other
    processes, as far as the system has walls for that; one that lacks namespaces is told once as a
    warning. The walls keep accidents in and most attacks; an answer that sets out to fool the test
    in its own process can. Posix only.

    Exceeding the limits of processor time or memory is wrong. Not being done in `seconds`, though
    the processor time is not used up, is a failure of the check: the machine may be overloaded.
    """

    reads_text = False

    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """Processor time of program and test together."""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """By the clock."""
    memory_mb: Annotated[int, Field(ge=64, le=65536)] = 1024
    """Most address space, in MiB."""

    def model_post_init(self, context: Any) -> None:
        """Refuse without leave: later nobody could say no."""
        if not is_code_allowed():
            raise mistake(Code, (), _NO_LEAVE, self.name)
        if sys.platform == "win32":
            raise mistake(Code, (), "it sets limits that only Posix systems have", self.name)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Run the program and its test.

        Raises:
            CheckFailed: If no process could be started, it is not done in time, or ended in a way
                that says nothing about the program.
        """
        if answer is None or not answer.strip():
            return False
        token = secrets.token_hex(16)
        order = {
            "program": f"{example.extra.get('before', '')}\n{answer}",
            "test": example.answer,
            "token": token,
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_mb * _MEGABYTE,
        }
        told = await self._run(json.dumps(order))
        if not told:
            raise CheckFailed("the process for the program ended at its start")
        _tell(told[0].get("walls", []))
        return len(told) > 1 and told[1].get("passed") == token

    async def _run(self, order: str) -> list[dict[str, Any]]:
        """Run the sandbox in an empty folder; return the lines it answered."""
        command = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("sandbox.py"))]
        try:
            with (
                TemporaryDirectory(prefix="tts-code-") as folder,
                anyio.fail_after(self.seconds),
                first_error(),
            ):
                done = await anyio.run_process(
                    command,
                    input=order.encode(),
                    stderr=subprocess.DEVNULL,
                    check=False,
                    cwd=folder,
                    env={},
                    start_new_session=True,
                )
        except TimeoutError as error:
            raise CheckFailed(f"the program was not done in {self.seconds:g} seconds") from error
        except OSError as error:
            raise CheckFailed(f"no process for the program: {error.strerror}") from error
        except anyio.BrokenResourceError:  # it ended before it had read its order
            return []
        try:
            told = [json.loads(line) for line in done.stdout.splitlines()]
        except ValueError:  # the program found the pipe and wrote to it
            return [{}]
        return [line for line in told if isinstance(line, dict)]


def code_checker() -> Code:
    """Return the checker, for tasks that have no other.

    Raises:
        ConfigError: Without leave to run programs of models, or where it cannot run.
    """
    try:
        return Code()
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"]) from error


def _tell(walls: list[str]) -> None:
    """Say once which walls are missing."""
    standing = tuple(walls)
    if standing in _told or not standing:
        return
    _told.add(standing)
    if "namespaces" not in standing:
        _logger.warning(
            "programs of models run without a network namespace here: Python refuses them "
            "sockets, which native code could get around (walls: %s)",
            ", ".join(standing),
        )
