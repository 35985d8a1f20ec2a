"""Which layers stand on a model, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from tts.backends.base import Backend, Provider
from tts.errors import ConfigError
from tts.layers.base import Layer
from tts.layers.budget import Account, Budget, Budgeted
from tts.layers.limit import Limited
from tts.layers.retry import Retrying
from tts.layers.trace import Trace, Traced

if TYPE_CHECKING:
    from tts.layers.store import Store

__all__ = ["Stack", "open_stack", "outline"]


@dataclass(frozen=True)
class Stack:
    """A model's layers that all its runs share.

    From the outside in: budget, trace, cache, hedge, retry, limit, backend. Budget and trace are
    each run's own. The budget stands outside, so that one reservation covers waiting and trying
    again; the cache outside the limits, so that an answer that is known needs no permit; retries
    outside the limit, so that a call that waits to be sent again holds none.
    """

    top: Backend
    limited: Limited
    store: Store | None = None

    def for_run(self, trace: Trace, account: Account) -> Backend:
        """Return the whole stack with a run's own layers on top."""
        return Budgeted(Traced(self.top, trace), account)

    @property
    def trouble(self) -> str | None:
        """What went wrong without costing a call, or None."""
        if self.store is None or self.store.failure is None:
            return None
        return f"the cache is incomplete: {self.store.failure}"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The shared layers from the outside in."""
        layers, inner = [], self.top
        while isinstance(inner, Layer):
            layers.append(inner)
            if inner is self.limited:
                break
            inner = inner.inner
        return tuple(layers)


@contextmanager
def open_stack(
    provider: Provider, backend: Backend, shared: anyio.Semaphore | None = None
) -> Iterator[Stack]:
    """Put the layers that a provider's settings ask for on its backend.

    Args:
        provider: The settings.
        backend: The open backend.
        shared: Permits of all models together.

    Raises:
        ConfigError: If the cache cannot be opened, or the model lacks what a layer needs.
    """
    limited = Limited(backend, provider.concurrency, provider.limits, shared)
    top: Backend = limited
    if provider.retry.attempts > 1:
        top = Retrying(top, provider.retry, burst=limited.concurrency)
    if provider.hedge is not None:
        if not backend.capabilities.stream:
            raise ConfigError(f"{backend.name} does not stream, and hedge needs that: leave it out")
        from tts.layers.hedge import Hedged  # what most do not ask for costs no import

        top = Hedged(top, provider.hedge, lambda: limited.is_strained)
    if provider.cache is None:
        yield Stack(top, limited)
        return
    from tts.layers.cache import Cached, open_store  # likewise: it takes sqlite3

    with open_store(provider.cache) as store:
        yield Stack(Cached(top, store, provider.identity()), limited, store)


def outline(provider: Provider, budget: Budget) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the layers from the outside in with their settings; None where one is left out."""
    limits = provider.limits.model_dump(mode="json", exclude={"burst"}, exclude_none=True)
    if provider.limits.rpm or provider.limits.tpm:
        limits["burst"] = provider.limits.burst
    limits["concurrency"] = provider.limits.concurrency or provider.concurrency
    if limits["concurrency"] == "auto":
        limits["most"] = provider.concurrency
    return [
        ("budget", budget.model_dump(mode="json", exclude_none=True)),
        ("trace", {}),
        ("cache", None if provider.cache is None else provider.cache.model_dump(mode="json")),
        ("hedge", None if provider.hedge is None else provider.hedge.model_dump(mode="json")),
        ("retry", provider.retry.model_dump(mode="json") if provider.retry.attempts > 1 else None),
        ("limit", limits),
        ("backend", {**provider.identity(), "sampling": provider.sampling.model_dump(mode="json")}),
    ]
