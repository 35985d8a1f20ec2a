"""A completion that is read while it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

import anyio

from tts.messages import Completion, Message, ToolCall
from tts.prompts import Prompt
from tts.tasks import task_scope

__all__ = ["Arrivals", "Generates", "Pieces", "stream"]

_T = TypeVar("_T")


class Generates(Protocol):
    """What `stream` needs of a run."""

    @property
    def generate(self) -> Callable[..., Awaitable[Completion]]:
        """Ask once: a prompt, `on_token`, `on_call` and the options of a call."""
        ...


class Arrivals(Generic[_T]):
    """An iterator over what arrives."""

    def __init__(self) -> None:
        self._heard: deque[_T] = deque()
        self._arrival = anyio.Event()
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[_T]:
        return self

    async def __anext__(self) -> _T:
        while not self._heard:
            if self._is_over:
                raise StopAsyncIteration
            self._arrival = anyio.Event()
            await self._arrival.wait()
        return self._heard.popleft()

    def hear(self, one: _T) -> None:
        """Take in what has arrived."""
        self._heard.append(one)
        self._arrival.set()

    def end(self) -> None:
        """Note that nothing comes any more."""
        self._is_over = True
        self._arrival.set()


class Pieces(Arrivals[str]):
    """An iterator over the pieces of one completion's text, as they arrive.

    Attributes:
        calls: An iterator over its function calls, each as soon as it is complete; those that were
            not told before the end are in the completion only.
        completion: The whole answer; None until the last piece was read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Arrivals[ToolCall] = Arrivals()
        self.completion: Completion | None = None

    def end_with(self, completion: Completion) -> None:
        """Take in the whole answer: no piece comes any more."""
        self.completion = completion
        self.end()
        self.calls.end()


@asynccontextmanager
async def stream(
    run: Generates, prompt: str | Prompt | Sequence[Message], **options: Any
) -> AsyncIterator[Pieces]:
    """Ask once and read the text while it is made. One call.

    Leaving the block ends the call: the server stops working, what it has made is charged.

    Args:
        run: Makes the call.
        prompt: A rendered prompt, a text, or a conversation.
        options: As `run.generate`.

    Raises:
        BackendError, BudgetExceeded, ConfigError: As `run.generate`, from the block.
    """
    pieces = Pieces()

    async def read() -> None:
        pieces.end_with(
            await run.generate(prompt, on_token=pieces.hear, on_call=pieces.calls.hear, **options)
        )

    async with task_scope() as tasks:
        tasks.start_soon(read)
        yield pieces
