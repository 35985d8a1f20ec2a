"""Requests and models for tests of one layer."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from tts.backends import Backend, Capabilities, Meter, RateInfo
from tts.errors import BackendError
from tts.layers import Layer
from tts.messages import Completion, Message, Request
from tts.testing import ScriptedBackend

Step = Callable[[Request, Meter], None]


def ask(text: str = "Q", **fields: object) -> Request:
    message = Message(role="user", content=text)
    return Request.model_validate({"messages": (message,), "seed": 5, "max_tokens": 8} | fields)


class Moody(Layer):
    """A model that follows a list: an error to raise, or None to answer; then it answers.

    Attributes:
        times: When each attempt arrived.
    """

    def __init__(
        self,
        errors: list[BackendError | None],
        inner: Backend | None = None,
        *,
        spends: int = 0,
        pause: float = 0.0,
    ) -> None:
        super().__init__(inner or ScriptedBackend(lambda request: "one two"))
        self.errors, self.spends, self.pause = errors, spends, pause
        self.times: list[float] = []

    async def generate(self, request: Request, meter: Meter) -> Completion:
        self.times.append(anyio.current_time())
        error = self.errors[len(self.times) - 1] if len(self.times) <= len(self.errors) else None
        if error is not None:
            if self.pause:  # even a wait of no time is a point at which a call can be cancelled
                await anyio.sleep(self.pause)
            meter.prompt_tokens += self.spends
            raise error
        return await self.inner.generate(request, meter)


class Telling(Layer):
    """A model whose answers say what is left of the rate limits."""

    def __init__(self, inner: Backend, rates: Callable[[], RateInfo]) -> None:
        super().__init__(inner)
        self.rates = rates

    async def generate(self, request: Request, meter: Meter) -> Completion:
        try:
            return await self.inner.generate(request, meter)
        finally:
            meter.rates = self.rates()


class Streaming:
    """A model whose first token takes a while, and whose words then come one a second.

    Args:
        first: Seconds to the first word of the n-th call.
        text: What it says.
        breaks_after: Words after which the n-th call fails; None does not.
    """

    name = "streaming"
    capabilities = Capabilities(seed=True, stream=True)
    price = None

    def __init__(
        self,
        first: Callable[[int], float],
        text: str = "one two three",
        breaks_after: Callable[[int], int | None] = lambda call: None,
    ) -> None:
        self.first, self.text, self.breaks_after = first, text, breaks_after
        self.started = self.active = self.cancelled = 0

    def prompt_tokens(self, request: Request) -> int:
        return 1

    async def generate(self, request: Request, meter: Meter) -> Completion:
        call, self.started = self.started, self.started + 1
        self.active += 1
        meter.prompt_tokens = 1
        try:
            await anyio.sleep(self.first(call))
            for index, word in enumerate(self.text.split()):
                if self.breaks_after(call) == index:
                    raise BackendError("broken", status=500)
                meter.completion_tokens += 1
                meter.hear(word + " ")
                await anyio.sleep(1.0)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.active -= 1
        return Completion(text=self.text, usage=meter.usage, model=self.name)
