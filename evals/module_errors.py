"""What a command that runs as `python -m` tells of an error: one line, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tts.errors import ConfigError, TTSError

__all__ = ["told_in_one_line"]


@contextmanager
def told_in_one_line(command: str) -> Iterator[None]:
    """End the process at an error of ours as `tts` does, with a line on standard error.

    Args:
        command: What the line begins with.

    Raises:
        SystemExit: 2 where a file or a setting is wrong, 1 at other errors, 130 if interrupted.
    """
    try:
        yield
    except TTSError as error:
        _say(command, str(error))
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from error
    except KeyboardInterrupt:
        _say(command, "interrupted")
        raise SystemExit(130) from None


def _say(command: str, message: str) -> None:
    print(f"{command}: {' '.join(message.split())}", file=sys.stderr)
