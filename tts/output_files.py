"""Files that are written: their folders are made, and what cannot be written is one clear line."""

from __future__ import annotations

import os
from pathlib import Path

from tts.errors import ConfigError

__all__ = ["prepare", "write"]


def prepare(*paths: Path | None) -> None:
    """Make the folders of files that are to be written; to be asked before anything is paid for.

    Args:
        paths: The files; None is passed over.

    Raises:
        ConfigError: If a folder cannot be made, or a file not be written there.
    """
    for path in paths:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot write: its folder cannot be made ({error.strerror})"
            raise ConfigError(message, path=str(path)) from error
        if path.is_dir():
            raise ConfigError("cannot write: this is a folder, name a file in it", path=str(path))
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ConfigError("cannot write: Permission denied", path=str(path))


def write(path: Path, content: str | bytes) -> None:
    """Write a whole file, a text as UTF-8; its folder is made.

    Raises:
        ConfigError: If it cannot be written.
    """
    prepare(path)
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", path=str(path)) from error
