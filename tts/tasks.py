"""Task groups that raise one error, not a nest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio.abc import TaskGroup

__all__ = ["first_error", "task_scope"]


@contextmanager
def first_error() -> Iterator[None]:
    """Raise the first error of a task group as itself; others stay visible as its cause."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf: BaseException = group
        is_alone = True
        while isinstance(leaf, BaseExceptionGroup):
            is_alone = is_alone and len(leaf.exceptions) == 1
            leaf = leaf.exceptions[0]
        raise leaf from (leaf.__cause__ if is_alone else group)


@asynccontextmanager
async def task_scope() -> AsyncIterator[TaskGroup]:
    """A task group that cancels what still runs when its block is left."""
    with first_error():
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            finally:
                tasks.cancel_scope.cancel()
