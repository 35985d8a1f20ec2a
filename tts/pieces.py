"""A completion that is read while it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio

from tts.messages import Completion, Message
from tts.prompts import Prompt
from tts.tasks import task_scope

__all__ = ["Generates", "Pieces", "stream"]


class Generates(Protocol):
    """What `stream` needs of a run."""

    @property
    def generate(self) -> Callable[..., Awaitable[Completion]]:
        """Ask once: a prompt, `on_token` and the options of a call."""
        ...


class Pieces:
    """An iterator over the pieces of one completion's text, as they arrive.

    Attributes:
        completion: The whole answer; None until the last piece was read.
    """

    def __init__(self) -> None:
        self.completion: Completion | None = None
        self._heard: deque[str] = deque()
        self._arrival = anyio.Event()
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self._heard:
            if self._is_over:
                raise StopAsyncIteration
            self._arrival = anyio.Event()
            await self._arrival.wait()
        return self._heard.popleft()

    def hear(self, piece: str) -> None:
        """Take in a piece."""
        self._heard.append(piece)
        self._arrival.set()

    def end(self, completion: Completion) -> None:
        """Take in the whole answer: no piece comes any more."""
        self.completion, self._is_over = completion, True
        self._arrival.set()


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
        pieces.end(await run.generate(prompt, on_token=pieces.hear, **options))

    async with task_scope() as tasks:
        tasks.start_soon(read)
        yield pieces
