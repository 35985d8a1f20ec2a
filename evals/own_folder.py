"""A temporary folder that goes with the process which made it, or after it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has other locks; what a killed process made stays there
    fcntl = None  # type: ignore[assignment]  # a missing module

__all__ = ["own_folder"]


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder, and remove it on the way out.

    A process that is killed removes nothing, so those which come after it do: each holds a lock on
    its folder, which the system gives free when the process ends, however that happens. Folders of
    this machine and user without one are removed first.
    """
    prefix = f"tts-ray-{socket.gethostname()}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_left(folder)
    folder, lock = _made(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _made(prefix: str) -> tuple[Path, int | None]:
    """Return a new folder, and its lock where there are locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        if fcntl is None:
            return folder, None
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            if _locked(lock) is not False and folder.exists():
                return folder, lock
            os.close(lock)  # somebody took it for left behind before it had its lock


def _locked(folder: int) -> bool | None:
    """Lock an open folder; False if another process holds it, None if the disk has no locks."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_left(folder: Path) -> None:
    """Remove a folder of this user whose process is dead."""
    if fcntl is None:
        return
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # it has gone, or is none
        return
    try:
        if os.fstat(lock).st_uid == os.getuid() and _locked(lock):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
