"""A provider that answers from a function, through httpx's own mock transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tts.backends import Backend, Meter, Provider
from tts.backends.wire.over_httpx import HttpxTransport
from tts.messages import Completion, Message, Request

Reply = Any
"""JSON to answer with, or bytes of a stream of events."""


@dataclass
class Canned:
    """Keeps what was asked."""

    reply: Callable[[str], Reply] | Reply
    """The answer, or a function from a path to it."""
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.raw_path.decode())
        self.headers.append(dict(request.headers))
        self.bodies.append(json.loads(request.content) if request.content else {})
        reply = self.reply(self.paths[-1]) if callable(self.reply) else self.reply
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply, bytes):
            return httpx.Response(200, content=reply, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=reply)

    @asynccontextmanager
    async def serve(self, provider: Provider) -> AsyncIterator[Backend]:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        opened: Any = provider.open(HttpxTransport(client))  # type: ignore[call-arg]  # remote ones
        async with client, opened as backend:
            yield backend

    async def ask(
        self, provider: Provider, *, heard: list[str] | None = None, **fields: Any
    ) -> Completion:
        meter = Meter(listener=None if heard is None else heard.append)
        async with self.serve(provider) as backend:
            completion = await backend.generate(asking(**fields), meter)
        assert meter.usage == completion.usage
        return completion


def asking(**fields: Any) -> Request:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="What?"))
    return Request.model_validate({"messages": messages, "max_tokens": 64} | fields)


def events(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
