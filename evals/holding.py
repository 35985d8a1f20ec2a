"""One bench at a time writes a folder: two would pay for the same calls."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tts.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows has other locks; there nobody is kept out
    fcntl = None  # type: ignore[assignment]  # a missing module

__all__ = ["held"]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder; the system gives it free when the process ends, however that happens.

    Raises:
        ConfigError: If another process holds it, or the folder cannot be written.
    """
    try:
        file = (folder / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", path=str(folder)) from error
    with file:
        _lock(file, folder)
        with suppress(OSError):  # a full disk: the lock holds without a name in it
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


def _lock(file: TextIO, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise ConfigError(
            f"another bench writes here ({file.read() or 'unknown'}): wait for it, end it, or "
            "give another --out",
            path=str(folder),
        ) from error
    except OSError:  # a file system without locks
        return
