"""How many calls of one model may be in flight."""

from __future__ import annotations

import anyio

from tts.backends.base import Backend, Meter
from tts.layers.base import Layer
from tts.messages import Completion, Request

__all__ = ["Limited"]


class Limited(Layer):
    """Holds a permit while a call is in flight; further calls wait in order of arrival."""

    def __init__(self, inner: Backend, concurrency: int) -> None:
        super().__init__(inner)
        self.concurrency = concurrency
        self._permits = anyio.Semaphore(concurrency, fast_acquire=True)

    @property
    def in_flight(self) -> int:
        """Calls that hold a permit now."""
        return self.concurrency - self._permits.value

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Wait for a permit, then pass the request on."""
        try:
            self._permits.acquire_nowait()
        except anyio.WouldBlock:
            await self._permits.acquire()
        try:
            meter.started = True
            return await self.inner.generate(request, meter)
        finally:
            self._permits.release()
