"""What files may run: nothing that whoever reads them has not allowed.

Only the command line (`--allow-tools`) and Python can put a name on the list.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from tts.errors import ConfigError

__all__ = ["allow_tools", "check_program", "imported"]

_allowed: ContextVar[tuple[str, ...]] = ContextVar("allowed tools", default=())


@contextmanager
def allow_tools(*names: str) -> Iterator[None]:
    """Allow pipelines that are read in this block to run code of these names.

    Args:
        names: A function's import path (`package.module.function`); a module or package, for the
            functions that are written in it, not those that it imports; or a program, alone or
            with the arguments that it must begin with (`uvx mcp-server-fetch`).
    """
    token = _allowed.set((*_allowed.get(), *names))
    try:
        yield
    finally:
        _allowed.reset(token)


def imported(path: str) -> Any:
    """Return what stands at an import path, if the list allows it.

    A function that an allowed module has only imported must be allowed by its own name. An object
    that somebody made, a `Tool` above all, counts as written where it stands.

    Raises:
        ConfigError: If it is not allowed, or cannot be imported.
    """
    if not _covers(path):
        raise _refusal(path, path)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cannot import {path!r}: {error}; install its package or set PYTHONPATH"
        ) from error
    origin = getattr(found, "__module__", None) if hasattr(found, "__qualname__") else module
    if path not in _allowed.get() and not _covers(origin or ""):
        raise _refusal(f"{path} (of {origin})", path)
    return found


def check_program(command: Sequence[str]) -> None:
    """Make sure that the list holds a program, or the beginning of its command.

    Raises:
        ConfigError: If it does not.
    """
    if not any(_begins(command, one) for one in _allowed.get()):
        raise _refusal(command[0], shlex.quote(shlex.join(command)))


def _covers(name: str) -> bool:
    """Return whether the list holds a name, itself or a package it is in."""
    return any(name == one or name.startswith(f"{one}.") for one in _allowed.get())


def _begins(command: Sequence[str], allowed: str) -> bool:
    if allowed == command[0]:
        return True
    try:
        words = shlex.split(allowed)
    except ValueError:  # an open quote
        return False
    return bool(words) and list(command[: len(words)]) == words


def _refusal(name: str, option: str) -> ConfigError:
    return ConfigError(
        f"a pipeline file may not run {name!r} by itself: if you trust it, "
        f"add --allow-tools {option}"
    )
