"""One node's work, tried as often as it allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from tts.errors import BudgetExceeded, ToolError
from tts.executed import State
from tts.graph.nodes import Entry, Node
from tts.graph.watchdog import Watched
from tts.tasks import check_cancelled

__all__ = ["Rest", "attempt"]

Rest = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


async def attempt(
    entry: Entry, inputs: Mapping[int, Any], rest: Rest
) -> tuple[State, Any, Exception | None]:
    """Try a node's work; return how that ended, and its result or its last error.

    Args:
        entry: Counts the attempts, and the longest time that one has held the event loop.
        inputs: The results that it takes.
        rest: Waits between attempts; a `BudgetExceeded` ends them.
    """
    node, pause = entry.node, entry.node.pause

    def hold(seconds: float) -> None:
        entry.held = max(entry.held, seconds)

    while True:
        entry.attempts += 1
        try:
            with anyio.move_on_after(node.timeout):
                return "succeeded", await Watched(node.work(inputs), hold), None
            late = f"no result in {node.timeout:g} s"
            error: Exception = ToolError(_name(node), late, is_timeout=True)
        except anyio.get_cancelled_exc_class() as raised:
            await check_cancelled(raised)
            error = ToolError(_name(node), "it was cancelled from within")
            error.__cause__ = raised
        except Exception as raised:  # a tool's code: whatever it raises is this node's result
            error = raised
        if entry.attempts >= node.attempts or not getattr(error, "retryable", True):
            return _ending(error), None, error
        try:
            await rest(pause)
        except BudgetExceeded as ended:
            return _ending(ended), None, ended
        pause *= 2


def _ending(error: Exception) -> State:
    if isinstance(error, BudgetExceeded):
        return "cancelled"
    return "timed_out" if getattr(error, "is_timeout", False) else "failed"


def _name(node: Node) -> str:
    return node.name or str(node.id)
