"""A process beside this one that answers questions, and is killed when it takes too long."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import Any, Final

from tts.evals.checkers.base import CheckFailed

__all__ = ["Worker"]

_START_SECONDS: Final = 120.0
"""Until a busy machine has imported sympy."""


class Worker:
    """Runs a script of this folder in a process; it answers one question at a time.

    The script writes a line `ready`, then a line of JSON for each line of JSON that it reads. It is
    started at the first question and ends with this process.

    Args:
        script: The file's name.
        name: What messages call it.
    """

    def __init__(self, script: str, name: str) -> None:
        self._script = Path(__file__).with_name(script)
        self._name = name
        self._lock = Lock()
        atexit.register(self._leave)
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._leaving = False

    def ask(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send an order and wait for its answer; blocks.

        Args:
            order: The question.
            seconds: How long the answer may take; after that the next question starts anew.

        Raises:
            CheckFailed: If there is none in time, or no process.
        """
        with self._lock:
            process = self._running()
            try:
                line = self._answered(process, json.dumps(order) + "\n", seconds)
            except OSError:
                line = ""
            if not line:
                self._end()
                raise CheckFailed(f"{self._name} had no result in {seconds:g} seconds")
            return dict(json.loads(line))

    def _running(self) -> subprocess.Popen[str]:
        if self._owner != os.getpid():  # a fork has copied it; the original is its parent's
            self._process, self._owner = None, os.getpid()
        if self._leaving:
            raise CheckFailed(f"{self._name} has ended with this process")
        if self._process is None or self._process.poll() is not None:
            # Not the script's folder: it has names of other modules.
            command = [sys.executable, "-P", str(self._script)]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            try:
                self._process = subprocess.Popen(
                    command, **pipes, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
                )
            except OSError as error:
                raise CheckFailed(f"no process for {self._name}: {error.strerror}") from error
            if not self._answered(self._process, "", _START_SECONDS):
                self._end()
                raise CheckFailed(f"{self._name} could not be started")
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

    def _leave(self) -> None:
        """Kill without the lock, which is held as long as a question is open."""
        process, self._leaving = self._process, True
        if process is not None and self._owner == os.getpid():
            process.kill()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()
