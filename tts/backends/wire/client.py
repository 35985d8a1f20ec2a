"""One call over HTTP: JSON out, JSON or events in, every wait and every size bounded."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin

import anyio
from pydantic_core import from_json, to_json

from tts.backends.base import Meter
from tts.backends.wire.address import origin
from tts.backends.wire.failures import failure
from tts.backends.wire.patience import Timeouts
from tts.backends.wire.rates import rates_of
from tts.backends.wire.sse import Events
from tts.backends.wire.transport import Outgoing, Reply, Transport
from tts.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    InvalidResponse,
)

__all__ = ["Story", "Wire"]

_T = TypeVar("_T")
_MOST_REDIRECTS = 3
_DRAIN = 0.5
"""Seconds that a whole answer waits for what may follow it: its usage, the stream's end."""


class Story(Protocol):
    """An answer that is told in events."""

    @property
    def is_whole(self) -> bool:
        """Whether what was read is a whole answer; asked when the stream ends."""
        ...

    def read(self, event: Any) -> bool:
        """Take in an event; return True if the answer needs no more."""
        ...


class _Patience:
    """Moves the deadline of a call from stage to stage."""

    __slots__ = ("_timeouts", "_until", "has_begun", "scope")

    def __init__(self, timeouts: Timeouts, scope_type: type[anyio.CancelScope]) -> None:
        self._timeouts, self.has_begun = timeouts, False
        now = anyio.current_time()
        self._until = now + timeouts.total
        self.scope = scope_type(deadline=now + min(timeouts.first_byte, timeouts.total))

    def renew(self) -> None:
        """Allow the time between two chunks from now on, within the total."""
        self.has_begun = True
        then = anyio.current_time() + self._timeouts.between_chunks
        self.scope.deadline = min(then, self._until)

    def relax(self) -> None:
        """The answer is there: what still comes has its own short time, and no error."""
        self.scope.deadline = math.inf

    @property
    def ending(self) -> str:
        """What the call waited for in vain."""
        timeouts = self._timeouts
        if self.scope.deadline >= self._until:
            return f"no whole answer in {timeouts.total:g} s"
        if self.has_begun:
            return f"the answer stalled for {timeouts.between_chunks:g} s"
        return f"no answer began in {timeouts.first_byte:g} s"


class Wire:
    """Sends requests to one server.

    Args:
        transport: Carries them.
        base_url: Where the paths begin.
        headers: Sent with every request, the key among them.
        secret: The key, to keep it out of messages.
        timeouts: How long each part of a call may take.
        max_bytes: Largest response body.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        timeouts: Timeouts | None = None,
        max_bytes: int = 8 << 20,
    ) -> None:
        self._transport, self._base = transport, base_url
        self._origin = origin(base_url)
        self._server = _label(base_url)
        self._secret = secret
        self._timeouts = timeouts or Timeouts()
        self._scope_type: type[anyio.CancelScope] | None = None
        self._max_bytes = max_bytes
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",  # small bodies, and nothing to unpack without a bound
            "user-agent": "tts-orchestrator",
            **(headers or {}),
        }

    @property
    def server(self) -> str:
        """How messages call the server: its host."""
        return self._server

    def get(self, path: str) -> Coroutine[Any, Any, Any]:
        """Return the JSON at a path; errors as `post`."""
        return self._exchange("GET", path, b"", self._json)

    # Not `async`: a coroutine that only awaits another one is a frame more to every wait.
    def post(
        self, path: str, payload: Mapping[str, Any], meter: Meter | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Send JSON, return the JSON that is answered.

        Args:
            path: Under the base URL.
            payload: The request.
            meter: Is told what the headers say of rate limits, on failures too.

        Raises:
            BackendError: If anything goes wrong; the class says who must act.
        """
        return self._exchange("POST", path, _dumped(payload), self._json, meter)

    async def stream(
        self, path: str, payload: Mapping[str, Any], story: Story, meter: Meter | None = None
    ) -> Any:
        """Send JSON and pass each event of the answer on as it arrives.

        Args:
            path: Under the base URL.
            payload: The request.
            story: Reads each event's JSON.
            meter: As for `post`.

        Returns:
            None; or the answer's JSON, from a server that did not stream.

        Raises:
            BackendError: As `post`; also if the stream ends before the answer is whole.
        """

        async def read(reply: Reply, patience: _Patience) -> Any:
            kind = reply.headers.get("content-type", "")
            if "json" in kind or "html" in kind:  # it did not stream, or is an error's page
                return await self._json(reply, patience)
            return await self._events(reply, patience, story)

        return await self._exchange("POST", path, _dumped(payload), read, meter)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes,
        read: Callable[[Reply, _Patience], Awaitable[_T]],
        meter: Meter | None = None,
    ) -> _T:
        """Send a request and read its answer before the patience ends."""
        if self._scope_type is None:
            # The event loop's own class: to find it again would cost as much as the scope.
            self._scope_type = type(anyio.CancelScope())
        patience = _Patience(self._timeouts, self._scope_type)
        with patience.scope:
            reply = await self._send(Outgoing(method, self._base + path, self._headers, body))
            if meter is not None:
                meter.rates = rates_of(reply.headers)
            try:
                if reply.status != 200:
                    raise await self._failure(reply, patience)
                return await read(reply, patience)
            finally:
                await reply.close()
        raise BackendTimeout(f"{self._server}: {patience.ending}")

    async def _send(self, request: Outgoing) -> Reply:
        """Send a request, and again to where the same server redirects it."""
        reply = await self._transport.send(request)
        for _ in range(_MOST_REDIRECTS):
            if reply.status not in {307, 308}:  # the others turn a POST into a GET
                break
            target = urljoin(request.url, reply.headers.get("location", ""))
            if not self._is_home(target):
                break
            await reply.close()
            request = Outgoing(request.method, target, request.headers, request.body)
            reply = await self._transport.send(request)
        return reply

    def _is_home(self, url: str) -> bool:
        try:
            return origin(url) == self._origin
        except ValueError:
            return False

    async def _body(self, reply: Reply, patience: _Patience) -> bytes:
        chunk = reply.at_hand()
        chunks, size = [chunk], len(chunk)
        while not reply.is_over:
            if size > self._max_bytes:
                raise self._too_large(reply)
            patience.renew()
            chunk = await reply.chunk()
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
        if size > self._max_bytes:
            raise self._too_large(reply)
        return b"".join(chunks)

    async def _json(self, reply: Reply, patience: _Patience) -> Any:
        body = await self._body(reply, patience)
        try:
            return from_json(body)
        except ValueError as error:
            raise self._garbled(reply, body) from error

    def _too_large(self, reply: Reply) -> InvalidResponse:
        return InvalidResponse(
            f"{self._server}: the answer is larger than {self._max_bytes} bytes",
            status=reply.status,
        )

    def _garbled(self, reply: Reply, body: bytes) -> InvalidResponse:
        kind = reply.headers.get("content-type", "").partition(";")[0] or "no content type"
        if reply.headers.get("content-encoding", "identity") != "identity":
            what = "the answer is compressed, which was not asked for"
        elif b"<html" in body[:1000].lower() or kind == "text/html":
            what = "the answer is an HTML page: does base_url end where the API begins (/v1)?"
        else:
            what = f"the answer is no JSON ({kind}, {len(body)} bytes)"
        return InvalidResponse(f"{self._server}: {what}", status=reply.status)

    async def _failure(self, reply: Reply, patience: _Patience) -> BackendError:
        body = await self._body(reply, patience)
        try:
            value = from_json(body)
        except ValueError:
            value = None
        return failure(self._server, reply.status, reply.headers, value, secret=self._secret)

    async def _events(self, reply: Reply, patience: _Patience, story: Story) -> None:
        """Read events until the answer is whole, then let the connection end in peace."""
        events, size, is_over = Events(), 0, False
        drained = math.inf
        patience.renew()
        while not is_over:
            chunk = await (self._afterwards(reply, drained) if story.is_whole else reply.chunk())
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large(reply)
            is_over = not chunk
            for data in events.feed(chunk) if chunk else events.end():
                is_over = is_over or data == b"[DONE]" or story.read(self._event(reply, data))
                if is_over:
                    break
            if not story.is_whole:
                patience.renew()
            elif drained == math.inf:
                patience.relax()
                drained = anyio.current_time() + _DRAIN
        if not story.is_whole:
            raise BackendUnavailable(f"{self._server}: the stream ended before the answer did")
        while size <= self._max_bytes and (chunk := await self._afterwards(reply, drained)):
            size += len(chunk)  # read to the end, so that the connection can be used again

    async def _afterwards(self, reply: Reply, until: float) -> bytes:
        """Return what follows a whole answer, such as its usage; wait only a moment for it."""
        with anyio.CancelScope(deadline=until), suppress(BackendUnavailable):
            return await reply.chunk()
        return b""

    def _event(self, reply: Reply, data: bytes) -> Any:
        try:
            event = from_json(data)
        except ValueError as error:
            raise self._garbled(reply, data) from error
        if isinstance(event, dict) and event.get("error"):
            code = event["error"].get("code") if isinstance(event["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 0
            raise failure(self._server, status, reply.headers, event, secret=self._secret)
        return event


def _dumped(payload: Mapping[str, Any]) -> bytes:
    try:
        return to_json(payload)
    except ValueError as error:  # half of a surrogate pair, which no encoding of Unicode can send
        raise ConfigError(f"the request cannot be written as JSON: {error}") from error


def _label(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0]
