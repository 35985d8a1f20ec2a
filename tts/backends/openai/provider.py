"""`backend: openai`: any server that speaks OpenAI's format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, Literal

import anyio
from pydantic import PrivateAttr

from tts.backends.base import Capabilities, Meter, Provider
from tts.backends.openai.backend import OpenAIBackend
from tts.backends.openai.dialects import DIALECTS, Dialect, Server, server_at
from tts.backends.openai.probe import Found, look, probe
from tts.backends.openai.spelling import OpenAISpelling
from tts.backends.remote import RemoteSettings
from tts.backends.wire import BaseURL, Transport, Wire
from tts.errors import BackendError

__all__ = ["OpenAI"]

_LOOK_AGAIN = (0.2, 0.5, 1.0)
"""Seconds to wait before an unknown server is looked at again."""


class OpenAI(RemoteSettings, Provider, name="openai"):
    """Any server that speaks OpenAI's format: OpenAI, vLLM, SGLang, llama.cpp, and many more."""

    official: ClassVar[tuple[str, str]] = ("api.openai.com", "OPENAI_API_KEY")

    model: str | None = None
    """Name of the model at the server; None takes the only one it serves."""
    base_url: BaseURL = "https://api.openai.com/v1"
    """Where the API begins, version included."""
    server: Server | Literal["auto"] = "auto"
    """Which server it is; `auto` tells by the address, the list of models, or one small call."""
    endpoint: Literal["chat", "completions"] = "chat"
    """Chat, or completions of raw text."""

    _found: tuple[Found, Dialect] | None = PrivateAttr(default=None)
    _was_looked_at: bool = PrivateAttr(default=False)
    _bill: Meter = PrivateAttr(default_factory=Meter)

    def known_abilities(self) -> Capabilities | None:
        """Return what the server can do; None if it must be looked at."""
        if self._found is not None:
            found, dialect = self._found
            return self._abilities(dialect, found.context)
        server = self._server
        return None if server is None else self._abilities(DIALECTS[server], None)

    def take_bill(self) -> Meter | None:
        """Return what the look at an unknown server has spent, once."""
        bill, self._bill = self._bill, Meter()
        return bill if bill.started else None

    def memory(self) -> bytes | None:
        """Return what a look at the server has told."""
        if self._found is None or not self._was_looked_at:
            return None
        found, dialect = self._found
        return json.dumps([*found, dialect.model_dump(mode="json")]).encode()

    def recall(self, memory: bytes) -> None:
        """Know the server from an earlier look at it."""
        with suppress(ValueError, TypeError):  # else another version wrote it: look again
            *found, dialect = json.loads(memory)
            self._found = Found(*found), Dialect.model_validate(dialect)

    @property
    def _server(self) -> Server | None:
        return server_at(self.base_url) if self.server == "auto" else self.server

    def _abilities(self, dialect: Dialect, context: int | None) -> Capabilities:
        known = dialect.capabilities.model_dump(exclude={"context"})
        can = self.abilities(**known, context=self.context or context)
        # Several completions of one call are not streamed.
        return can.model_copy(update={"n": False}) if self.always_stream else can

    @asynccontextmanager
    async def open(self, transport: Transport | None = None) -> AsyncIterator[OpenAIBackend]:
        """Yield the backend. A server that is not known by its address is looked at once.

        Args:
            transport: Carries the requests instead of the library's own.

        Raises:
            BackendError: If it must be looked at and cannot be reached.
            ConfigError: If a setting is wrong.
        """
        async with self.open_wire(transport) as wire:
            if self._found is None:
                self._found = await self._look(wire)
            found, dialect = self._found
            can = self._abilities(dialect, found.context)
            spelling = OpenAISpelling(found.model, dialect, can, self.endpoint)
            yield OpenAIBackend(spelling, dialect, **self.made_with(wire, found.model, can))

    async def _look(self, wire: Wire) -> tuple[Found, Dialect]:
        """Find out what the server is; what may pass is tried again, as with any call."""
        for wait in _LOOK_AGAIN:
            try:
                return await self._find(wire)
            except BackendError as error:
                if not (error.retryable and error.sent) or self.retry.attempts == 1:
                    raise
            await anyio.sleep(wait)
        return await self._find(wire)

    async def _find(self, wire: Wire) -> tuple[Found, Dialect]:
        server = self._server
        if server is not None and self.model is not None:
            return Found(self.model, server, None), DIALECTS[server]
        found = await look(wire, self.model)
        self._was_looked_at = True
        server = server or found.server
        if server:
            return found, DIALECTS[server]
        return found, await probe(wire, found.model, self._bill)
