"""Task groups that raise one error, not a nest."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from tts.errors import TTSError

__all__ = ["check_cancelled", "first_error", "for_each", "is_in_event_loop", "task_scope"]

_T = TypeVar("_T")


@contextmanager
def first_error() -> Iterator[None]:
    """Raise the first error of a task group as itself; others stay visible as its cause."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        # A bug beside a failed call is the one to know about.
        first = next((leaf for leaf in leaves if not isinstance(leaf, TTSError)), leaves[0])
        raise first from (first.__cause__ if len(leaves) == 1 else group)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@asynccontextmanager
async def task_scope() -> AsyncIterator[TaskGroup]:
    """A task group that cancels what still runs when its block is left."""
    with first_error():
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            finally:
                tasks.cancel_scope.cancel()


async def for_each(
    function: Callable[[_T], Coroutine[Any, Any, None]], items: Iterable[_T]
) -> None:
    """Call a function with each item, each in a task of its own, and wait for all.

    The first error cancels the others.
    """
    with first_error():
        async with anyio.create_task_group() as tasks:
            for item in items:
                tasks.start_soon(function, item)


async def check_cancelled(caught: BaseException) -> None:
    """Go on if a cancellation that was caught was made within: of a future waited for, say.

    Args:
        caught: The cancellation.

    Raises:
        CancelledError: If the present task is cancelled from outside, in the form that whoever
            did it will know.
    """
    asyncio = sys.modules["asyncio"]
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise caught
    await anyio.lowlevel.checkpoint()  # raises what a scope has not yet delivered


def is_in_event_loop() -> bool:
    """Return whether an event loop runs in this thread."""
    # Where asyncio was never imported no loop runs; importing it to ask would slow every import.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
