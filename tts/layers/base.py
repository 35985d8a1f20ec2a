"""What every call layer shares: it is a backend around a backend."""

from __future__ import annotations

from tts.backends.base import Backend, Meter
from tts.messages import Completion, Request

__all__ = ["Layer"]


class Layer:
    """A backend that passes everything on; a layer overrides `generate`.

    What the model underneath is does not change while it is open, so it is read once.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name
        self.capabilities = inner.capabilities
        self.price = inner.price
        self.prompt_tokens = inner.prompt_tokens

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Pass the request on."""
        return await self.inner.generate(request, meter)
