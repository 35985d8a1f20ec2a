"""Answers that are known already: from an earlier run, or from the same call in flight."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final

import anyio
from pydantic import ValidationError

from tts.backends.base import Backend, Meter, Provider
from tts.errors import BackendError
from tts.layers.base import Layer
from tts.layers.store import Store, open_store
from tts.messages import Completion, Request

__all__ = ["Cached", "open_memory", "remember"]

_NO_MATTER: Final = {"role", "span", "ticket", "timeout", "priority"}
"""Fields of a request that its answer does not depend on."""


class Cached(Layer):
    """Answers a call from the store if the same call was answered before.

    The same is what agrees in everything that the answer depends on: the model's settings, the
    messages, the sampling, and the seed. Samples of one prompt have seeds of their own, so a cache
    replays a run and never gives two samples the same text. A sampled call without a seed passes.
    What is not sampled, at temperature 0 or of a given text, does not depend on the seed. Several
    completions of one call are found again together: as many, of the same seed, or not at all.

    Of equal calls in flight one is made, and the others wait for its answer.

    A known answer costs nothing: the meter stays at zero and is marked `cached`. The completion
    says what it cost when it was made.

    Args:
        inner: What is asked otherwise.
        store: Where answers are.
        identity: What an answer depends on beside the request: the model's settings.
    """

    def __init__(self, inner: Backend, store: Store, identity: Mapping[str, Any]) -> None:
        super().__init__(inner)
        self.store = store
        self._identity = json.dumps([self.name, identity], sort_keys=True)
        self._flights: dict[bytes, _Flight] = {}

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer from the store, from the same call in flight, or by asking."""
        key = self._key(request)
        if key is None:
            return await self.inner.generate(request, meter)
        while True:
            known = self._known(key)
            if known is not None:
                return _serve(known, meter)
            flight = self._flights.get(key)
            if flight is None:
                return await self._fly(key, request, meter)
            await flight.has_ended.wait()
            if flight.error is not None and not flight.error.retryable:
                raise flight.error
            if flight.completion is not None:
                return _serve(flight.completion, meter)
            # Who made the call was cancelled, or gave up early for a reason of its own: somebody
            # else has to.

    async def _fly(self, key: bytes, request: Request, meter: Meter) -> Completion:
        flight = self._flights[key] = _Flight()
        try:
            completion = await self.inner.generate(request, meter)
            self.store.put(key, completion.model_dump_json(exclude_defaults=True).encode())
            flight.completion = completion
            return completion
        except BackendError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.has_ended.set()

    def _known(self, key: bytes) -> Completion | None:
        answer = self.store.get(key)
        if answer is None:
            return None
        try:
            return Completion.model_validate_json(answer)
        except ValidationError:  # written by another version, or damaged
            return None

    def _key(self, request: Request) -> bytes | None:
        fields = request.model_dump(mode="json", exclude=_NO_MATTER)
        if request.n == 1:
            del fields["n"]
        if not request.tools:
            del fields["tools"]  # keys from before there were any stay good
        if request.temperature == 0.0 or request.given is not None:
            fields["seed"] = None
        elif request.seed is None:
            return None
        text = json.dumps([self._identity, fields], sort_keys=True)
        return blake2b(text.encode(), digest_size=16).digest()


@contextmanager
def open_memory(provider: Provider) -> Iterator[Store | None]:
    """Open a provider's store, and remind it of what opening it once found out.

    So a run whose answers are all known needs no server at all.

    Raises:
        ConfigError: If the file cannot be opened.
    """
    if provider.cache is None:
        yield None
        return
    with open_store(provider.cache) as store:
        memory = store.peek(_memory_key(provider))
        if memory is not None:
            provider.recall(memory)
        yield store


def remember(provider: Provider, store: Store) -> None:
    """Keep what opening a provider has found out."""
    memory = provider.memory()
    if memory is not None:
        store.put(_memory_key(provider), memory)


def _memory_key(provider: Provider) -> bytes:
    text = json.dumps(["memory", provider.identity()], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).digest()


class _Flight:
    """A call under way that others wait for."""

    __slots__ = ("completion", "error", "has_ended")

    def __init__(self) -> None:
        self.has_ended = anyio.Event()
        self.completion: Completion | None = None
        self.error: BackendError | None = None


def _serve(completion: Completion, meter: Meter) -> Completion:
    meter.cached = True
    meter.hear(completion.text)
    return completion
