"""Functions that block, each in a thread of its own that nobody has to wait for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

__all__ = ["in_thread"]


async def in_thread(function: Callable[[], Any], name: str = "tool") -> Any:
    """Call a function in a thread; a cancelled call leaves the thread behind.

    anyio's own worker threads would be waited for at the end of the program, and a tool that hangs
    would hang the program. This one is a daemon.

    Args:
        function: What is called, in a copy of the present context.
        name: The thread's name.

    Raises:
        BaseException: What the function raised.
    """
    context, done = copy_context(), anyio.Event()
    results: list[Any] = []
    errors: list[BaseException] = []
    async with BlockingPortal() as portal:

        def work() -> None:
            try:
                results.append(context.run(function))
            except BaseException as error:  # raised where it is waited for
                errors.append(error)
            with suppress(RuntimeError):  # nobody waits any more
                portal.start_task_soon(done.set)

        Thread(target=work, name=f"tts {name}", daemon=True).start()
        await done.wait()
    if errors:
        raise errors[0]
    return results[0]
