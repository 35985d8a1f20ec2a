"""Which async tool blocks the event loop, and for how long."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

__all__ = ["Watched"]

_T = TypeVar("_T")


class Watched:
    """An awaitable that steps another one and times each step.

    A step is what runs between two points where the event loop may turn to others, so a step that
    takes long holds up everything else. The clock is the real one, whatever the loop's says.
    Context variables that are set within stay within.

    Args:
        inner: What is awaited.
        hold: Called with the seconds of each step.
    """

    __slots__ = ("_hold", "_inner")

    def __init__(self, inner: Awaitable[_T], hold: Callable[[float], None]) -> None:
        self._inner, self._hold = inner, hold

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, context = self._inner.__await__(), copy_context()
        sent: Any = None
        raised: BaseException | None = None
        while True:
            began = time.perf_counter()
            try:
                if raised is None:
                    step = partial(steps.send, sent) if hasattr(steps, "send") else steps.__next__
                else:
                    step = partial(_throw, steps, raised)
                awaited = context.run(step)
            except StopIteration as stop:
                return stop.value
            finally:
                self._hold(time.perf_counter() - began)
            sent, raised = None, None
            try:
                sent = yield awaited
            except BaseException as error:  # a cancellation above all: it is the inner one's to see
                raised = error


def _throw(steps: Any, error: BaseException) -> Any:
    if isinstance(error, GeneratorExit):
        steps.close()
        raise error
    return steps.throw(error)
