"""The fast transport: aiohttp, without the parts of it that a model call does not need.

No error of aiohttp is chained to ours: some of them hold the request's headers, and the key is one.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar

import aiohttp
from aiohttp.connector import AddrInfoType
from multidict import CIMultiDict
from yarl import URL

from tts.backends.wire.transport import Dialling, Outgoing
from tts.errors import BackendError, BackendTimeout, BackendUnavailable, InvalidResponse

__all__ = ["AiohttpTransport"]

_URLS = 1024
"""URLs that are kept parsed."""


class _Attempt:
    """Whether a request had to open a connection; a kept one may have been closed meanwhile."""

    __slots__ = ("opened",)

    def __init__(self) -> None:
        self.opened = False


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


def _open_socket(address: AddrInfoType) -> socket.socket:
    """Open a socket as aiohttp would; the attempt that asked for it learns of it."""
    family, kind, protocol, *_ = address
    attempt = _attempt.get(None)  # copied into the tasks in which several addresses are tried
    if attempt is not None:
        attempt.opened = True
    return socket.socket(family, kind, protocol)


class _Reply:
    """A response of aiohttp."""

    __slots__ = ("_host", "_response")

    def __init__(self, response: aiohttp.ClientResponse, host: str) -> None:
        self._response, self._host = response, host

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def is_over(self) -> bool:
        return self._response.content.at_eof()

    def at_hand(self) -> bytes:
        content = self._response.content
        return b"" if content.exception() is not None else content.read_nowait()

    async def chunk(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            broken = _translated(error, self._host)
        raise broken

    async def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpTransport:
    """Carries requests over aiohttp; opened in the event loop that uses it.

    Args:
        dialling: How connections are made.
    """

    def __init__(self, dialling: Dialling) -> None:
        context: ssl.SSLContext | bool = True
        if dialling.ca_file is not None:
            context = ssl.create_default_context(cafile=dialling.ca_file)
        self._session = aiohttp.ClientSession(
            # The layer above limits the calls; a second limit here would only hide waiting.
            connector=aiohttp.TCPConnector(limit=0, ssl=context, socket_factory=_open_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=dialling.connect),
            auto_decompress=False,
            proxy=dialling.proxy,
        )
        self._connect = dialling.connect
        self._urls: dict[str, URL] = {}
        self._headers: tuple[Mapping[str, str], CIMultiDict[str]] = ({}, CIMultiDict())

    async def send(self, request: Outgoing) -> _Reply:
        """Send a request; see `Transport`."""
        url = self._urls.get(request.url)
        if url is None:
            if len(self._urls) >= _URLS:
                self._urls.clear()
            url = self._urls[request.url] = URL(request.url, encoded=True)
        attempt = _Attempt()
        _attempt.set(attempt)
        try:
            return await self._ask(request, url)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = _translated(error, url.authority, self._connect)
            was_kept = _is_silent(error) and not attempt.opened
        if was_kept:
            try:
                return await self._ask(request, url)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                failed = _translated(error, url.authority, self._connect)
        raise failed

    async def _ask(self, request: Outgoing, url: URL) -> _Reply:
        if self._headers[0] is not request.headers:
            self._headers = (request.headers, CIMultiDict(request.headers))
        response = await self._session.request(
            request.method,
            url,
            data=request.body or None,
            headers=self._headers[1],
            allow_redirects=False,
        )
        return _Reply(response, url.authority)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


_UNCONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)


def _is_silent(error: Exception) -> bool:
    """Return whether the connection ended before any byte of a response."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else it holds the part of a head that came
    return isinstance(error, aiohttp.ClientOSError)


def _translated(error: Exception, host: str, connect: float = 0.0) -> BackendError:
    """Return our error for one of aiohttp's."""
    made = _named(error, host, connect)
    made.sent = not isinstance(error, _UNCONNECTED)
    return made


def _named(error: Exception, host: str, connect: float) -> BackendError:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return BackendUnavailable(f"{host}: no such host: check base_url and the network")
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "not trusted")
            return BackendUnavailable(
                f"{host}: its TLS certificate is refused ({reason}): for a CA of your own give "
                "its certificate in ca_file"
            )
        case aiohttp.ClientSSLError():
            return BackendUnavailable(
                f"{host}: no TLS connection: does the server speak https on this port?"
            )
        case aiohttp.ConnectionTimeoutError():
            return BackendTimeout(f"{host}: no connection in {connect:g} s")
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return BackendUnavailable(f"{host}: the proxy did not connect: check proxy")
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            reason = os.strerror(number) if number else "no address answered"
            return BackendUnavailable(f"{host}: cannot connect ({reason}): is the server running?")
        case aiohttp.ClientResponseError() | aiohttp.http.HttpProcessingError():
            return InvalidResponse(
                f"{host}: the answer is no HTTP/1.1; a server that speaks HTTP/2 only needs a "
                "proxy in front of it"
            )
        case aiohttp.ClientPayloadError():
            return BackendUnavailable(f"{host}: the connection broke in the middle of the answer")
        case _:
            return BackendUnavailable(f"{host}: the server closed the connection")
