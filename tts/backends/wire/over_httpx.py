"""The transport over httpx: where aiohttp is missing, and for clients that the caller built.

No error of httpx is chained to ours: each holds its request, and the key is in its headers.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping

import anyio
import httpx

from tts.backends.wire.transport import Dialling, Outgoing
from tts.errors import BackendError, BackendTimeout, BackendUnavailable, InvalidResponse

__all__ = ["HttpxTransport", "httpx_client"]


def httpx_client(dialling: Dialling) -> httpx.AsyncClient:
    """Return a client that connects as told; its pool does not limit the calls."""
    verify: ssl.SSLContext | bool = True
    if dialling.ca_file is not None:
        verify = ssl.create_default_context(cafile=dialling.ca_file)
    return httpx.AsyncClient(
        verify=verify,
        proxy=dialling.proxy,
        timeout=httpx.Timeout(None, connect=dialling.connect),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        trust_env=False,  # the proxy was looked up once, when the wire was opened
    )


class _Reply:
    """A response of httpx."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks: AsyncIterator[bytes] = (
            response.aiter_bytes()
        )  # an event hook may have read it

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def is_over(self) -> bool:
        return False

    def at_hand(self) -> bytes:
        return b""

    async def chunk(self) -> bytes:
        try:
            async for chunk in self._chunks:
                return chunk
        except httpx.HTTPError as error:
            broken = _translated(error, self._response.request.url.netloc.decode(), in_body=True)
        else:
            return b""
        raise broken

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):  # it only closes, and a cancelled call must, too
            await self._response.aclose()


class HttpxTransport:
    """Carries requests over an httpx client, with its event hooks, proxies and transports.

    Args:
        client: Used as it is; its own timeouts and limits hold beside the wire's.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: Outgoing) -> _Reply:
        """Send a request; see `Transport`."""
        dialled: list[str] = []
        host = httpx.URL(request.url).netloc.decode()
        try:
            return _Reply(await self._attempt(request, dialled))
        except httpx.HTTPError as error:
            failed = _translated(error, host)
            was_kept = _is_silent(error) and not dialled
        if was_kept:
            try:
                return _Reply(await self._attempt(request, dialled))
            except httpx.HTTPError as error:
                failed = _translated(error, host)
        raise failed

    async def _attempt(self, request: Outgoing, dialled: list[str]) -> httpx.Response:
        async def trace(event: str, _: object) -> None:
            if event.startswith("connection.connect"):
                dialled.append(event)

        built = self._client.build_request(
            request.method, request.url, content=request.body, headers=request.headers
        )
        built.extensions["trace"] = trace
        return await self._client.send(built, stream=True, follow_redirects=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def _is_silent(error: httpx.HTTPError) -> bool:
    """Return whether a kept connection may have ended before any byte of a response."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "without sending a response" in str(error)  # httpcore has no class of its own for it
    return isinstance(error, httpx.ReadError | httpx.WriteError)


def _translated(error: httpx.HTTPError, host: str, *, in_body: bool = False) -> BackendError:
    """Return our error for one of httpx's."""
    made = _named(error, host, in_body=in_body)
    made.sent = not isinstance(error, _UNCONNECTED)
    return made


def _named(error: httpx.HTTPError, host: str, *, in_body: bool) -> BackendError:
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return BackendTimeout(f"{host}: no connection in time")
        case httpx.TimeoutException():
            return BackendTimeout(f"{host}: no answer in the time that the httpx client allows")
        case httpx.ProxyError():
            return BackendUnavailable(f"{host}: the proxy did not connect: check proxy")
        case httpx.ConnectError():
            return BackendUnavailable(f"{host}: cannot connect ({error}): is the server running?")
        case httpx.RemoteProtocolError() if not in_body and not _is_silent(error):
            return InvalidResponse(
                f"{host}: the answer is no HTTP/1.1; a server that speaks HTTP/2 only needs a "
                "proxy in front of it"
            )
        case _ if in_body:
            return BackendUnavailable(f"{host}: the connection broke in the middle of the answer")
        case _:
            return BackendUnavailable(f"{host}: the server closed the connection")
