"""What every call layer shares: it is a backend around a backend."""

from __future__ import annotations

from tts.backends.base import Backend, Capabilities, Meter, Price
from tts.messages import Completion, Request

__all__ = ["Layer"]


class Layer:
    """A backend that passes everything on; a layer overrides `generate`."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        """Name of the model underneath."""
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        """What the model underneath can do."""
        return self.inner.capabilities

    @property
    def price(self) -> Price | None:
        """The price of the model underneath."""
        return self.inner.price

    def prompt_tokens(self, request: Request) -> int:
        """Return the prompt's tokens, as the model underneath counts them."""
        return self.inner.prompt_tokens(request)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Pass the request on."""
        return await self.inner.generate(request, meter)
