"""The seam of the wire: what carries one HTTP request to a server.

Transport
├ AiohttpTransport   the fast one, used where aiohttp is installed
└ HttpxTransport     over any httpx client: the fallback, and the seam for tests and event hooks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Dialling", "Outgoing", "Reply", "Transport"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that is ready to be sent; its `repr` shows no header and no body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Reply(Protocol):
    """A response whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; names are found in any case."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the body's end was read; False where only waiting can tell."""
        ...

    def at_hand(self) -> bytes:
        """Return what of the body can be had without waiting; nothing where there is nothing."""
        ...

    async def chunk(self) -> bytes:
        """Return the next bytes of the body as they arrive; nothing at its end.

        Raises:
            BackendUnavailable: If the connection broke.
        """
        ...

    async def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        ...


class Transport(Protocol):
    """Carries requests; cancelling a call closes its connection."""

    async def send(self, request: Outgoing) -> Reply:
        """Send a request and wait for the head of its response.

        A kept connection that the server closed before any byte of a response arrived costs one
        more attempt on another connection: completions are pure, and the server never answered.

        Raises:
            BackendTimeout: If no connection came about in time.
            BackendUnavailable: If the server cannot be reached, or broke the connection.
            InvalidResponse: If what came back is no HTTP/1.1.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Dialling:
    """How connections are made.

    Attributes:
        connect: Seconds for a connection, TLS included.
        ca_file: Certificates to trust instead of the system's; PEM.
        proxy: URL of an HTTP proxy.
    """

    connect: float
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
