"""`backend: replay`: records what another model answers, and plays it back without that model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, Self

import anyio
from pydantic import model_validator

from tts import errors
from tts.backends.base import Backend, Expected, Meter, Provider, prompt_bytes
from tts.backends.cassette import Cassette, Failure, Head, Take
from tts.errors import BackendError, BackendUnavailable, ConfigError, RateLimited
from tts.messages import Completion, Request, Sampling
from tts.registry import mistake

__all__ = ["Replay", "Replaying"]

_PATIENCE = 5.0
"""Seconds that a call waits for being cancelled, as it was when it was recorded."""


class Replaying:
    """A model that answers from a cassette, and asks another what is not on it.

    Args:
        cassette: Loaded, or begun.
        inner: Asked for what was not recorded; None never asks.
    """

    def __init__(self, cassette: Cassette, inner: Backend | None) -> None:
        assert cassette.head is not None
        head = cassette.head
        self.name, self.capabilities, self.price = head.name, head.capabilities, head.price
        self._cassette, self._inner = cassette, inner

    def prompt_tokens(self, request: Request) -> int:
        """Bound the prompt's tokens as the recorded model does, or by its bytes."""
        return self._inner.prompt_tokens(request) if self._inner else prompt_bytes(request)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer from the cassette, or ask and write down the answer.

        Raises:
            BackendError: If the call failed, now or when it was recorded.
            ConfigError: If it was not recorded and there is nobody to ask.
        """
        take = self._cassette.take(request, answered=self._inner is not None)
        if take is not None:
            return await self._play(take, request, meter)
        if self._inner is None:
            raise self._cassette.miss(request)
        return await self._record(self._inner, request, meter)

    async def _play(self, take: Take, request: Request, meter: Meter) -> Completion:
        meter.started = True
        meter.settle(take.used)
        if take.error is not None:
            raise _error(take.error)
        if take.completion is not None:
            meter.hear(take.completion.text)
            return take.completion
        await anyio.sleep(_PATIENCE)
        raise ConfigError(
            "this call was cancelled before it answered when it was recorded, and now it is not",
            path=str(self._cassette.path),
        )

    async def _record(self, inner: Backend, request: Request, meter: Meter) -> Completion:
        completion, failure, was_asked = None, None, True
        try:
            completion = await inner.generate(request, meter)
            meter.settle(completion.usage)
            return completion
        except BackendError as error:
            failure = _failure(error)
            raise
        except ConfigError:
            was_asked = False
            raise
        finally:
            place = f"{request.role} {request.span} {request.ticket}"
            if was_asked:
                self._cassette.add(
                    Take(
                        request=request,
                        place=place,
                        used=meter.usage,
                        completion=completion,
                        error=failure,
                    )
                )


def _failure(error: BackendError) -> Failure:
    return Failure(
        kind=type(error).__name__,
        message=str(error),
        status=error.status,
        retry_after=getattr(error, "retry_after", None),
    )


def _error(failure: Failure) -> BackendError:
    """Make the recorded error again."""
    match failure.kind:
        case "RateLimited" | "BackendUnavailable":
            kind = RateLimited if failure.kind == "RateLimited" else BackendUnavailable
            return kind(failure.message, status=failure.status, retry_after=failure.retry_after)
        case "BackendTimeout" | "AuthenticationError" | "ContextLengthExceeded" | "InvalidResponse":
            plain: type[BackendError] = getattr(errors, failure.kind)
            return plain(failure.message, status=failure.status)
        case _:
            return BackendError(failure.message, status=failure.status)


class Replay(Provider, name="replay"):
    """Another model's answers, from a file: for tests, and to try rules without paying again."""

    cassette: Path
    """File of the answers, one JSON object a line."""
    mode: Literal["play", "record", "extend"] = "play"
    """`play` asks nobody, `record` writes a new file, `extend` asks for what is missing."""
    of: Provider | None = None
    """The model to record; not needed to play."""

    @model_validator(mode="after")
    def _knows_whom_to_ask(self) -> Self:
        if self.mode != "play" and self.of is None:
            message = f"{self.mode} needs the model to ask: of: {{backend: ...}}"
            raise mistake(type(self), ("of",), message, None)
        if self.of is not None and self.of.sampling not in (Sampling(), self.sampling):
            message = "stands beside cassette, where it holds for playing too"
            raise mistake(type(self), ("of", "sampling"), message, None)
        return self

    @model_validator(mode="after")
    def _is_its_own_cache(self) -> Self:
        if self.cache is not None:
            message = "a cassette is a cache already, and its answers may change: leave it out"
            raise mistake(type(self), ("cache",), message, None)
        return self

    def expected(self) -> Expected:
        """Return what is known of the model that is recorded."""
        return super().expected() if self.of is None else self.of.expected()

    def take_bill(self) -> Meter | None:
        """Return what opening the model that is recorded has spent."""
        return None if self.of is None else self.of.take_bill()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Replaying]:
        """Yield the backend; the recorded model is opened only if it may be asked.

        Raises:
            ConfigError: If the file cannot be used, or the recorded model cannot be opened.
        """
        cassette = Cassette(self.cassette)
        async with AsyncExitStack() as stack:
            stack.callback(cassette.close)
            inner = None
            if self.mode == "play" or (self.mode == "extend" and self.cassette.exists()):
                cassette.load()
            if self.mode != "play" and self.of is not None:
                inner = await stack.enter_async_context(self.of.open())
                can, price = inner.capabilities, inner.price
                cassette.begin(Head(name=inner.name, capabilities=can, price=price))
            yield Replaying(cassette, inner)
