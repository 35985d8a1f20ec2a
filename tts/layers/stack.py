"""Which layers stand on a model, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tts.backends.base import Backend, Provider
from tts.errors import ConfigError
from tts.layers.base import Layer
from tts.layers.budget import Account, Budget
from tts.layers.budgeted import Budgeted
from tts.layers.concurrency import Permits
from tts.layers.groups import Groups
from tts.layers.limit import Limited
from tts.layers.retry import Retrying
from tts.layers.trace import Trace, Traced

if TYPE_CHECKING:
    from tts.layers.store import Store

__all__ = ["Stack", "build_stack", "open_cache", "outline"]


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
    groups: Groups
    store: Store | None = None

    def for_run(self, trace: Trace, account: Account, label: str | None = None) -> Backend:
        """Return the whole stack with a run's own layers on top; see `Traced` for the label."""
        return Budgeted(Traced(self.top, trace, label), account)

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
def open_cache(provider: Provider) -> Iterator[Store | None]:
    """Open the cache that a provider's settings name, before the provider: it may know the server.

    Raises:
        ConfigError: If the file cannot be opened.
    """
    if provider.cache is None:
        yield None
        return
    from tts.layers.cache import open_memory  # it takes sqlite3

    with open_memory(provider) as store:
        yield store


def build_stack(
    provider: Provider,
    backend: Backend,
    shared: Permits | None = None,
    store: Store | None = None,
) -> Stack:
    """Put the layers that a provider's settings ask for on its backend.

    Args:
        provider: The settings.
        backend: The open backend.
        shared: Permits of all models together.
        store: The open cache, if the settings name one.

    Raises:
        ConfigError: If the model lacks what a layer needs.
    """
    limited = Limited(backend, provider.concurrency, provider.limits, shared)
    groups = Groups(backend, limited.concurrency)
    top: Backend = limited
    if provider.retry.attempts > 1:
        top = Retrying(top, provider.retry, burst=limited.concurrency)
    if provider.hedge is not None:
        if not backend.capabilities.stream:
            raise ConfigError(f"{backend.name} does not stream, and hedge needs that: leave it out")
        from tts.layers.hedge import Hedged  # what most do not ask for costs no import

        top = Hedged(top, provider.hedge, lambda: limited.is_strained)
    if store is not None:
        from tts.layers.cache import Cached, remember  # likewise: it takes sqlite3

        remember(provider, store)
        top = Cached(top, store, provider.identity())
    return Stack(top, limited, groups, store)


def outline(
    provider: Provider, budget: Budget, shared: int | None = None
) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the layers from the outside in with their settings; None where one is left out.

    Args:
        provider: The model's settings.
        budget: The pipeline's.
        shared: Permits of all the pipeline's models together.
    """
    limits = provider.limits.model_dump(mode="json")
    limits["concurrency"] = provider.limits.concurrency or provider.concurrency
    if limits["concurrency"] == "auto":
        limits["most"] = provider.concurrency
    limits["shared"] = shared
    return [
        ("budget", budget.model_dump(mode="json")),
        ("trace", {}),
        ("cache", None if provider.cache is None else provider.cache.model_dump(mode="json")),
        ("hedge", None if provider.hedge is None else provider.hedge.model_dump(mode="json")),
        ("retry", provider.retry.model_dump(mode="json") if provider.retry.attempts > 1 else None),
        ("limit", limits),
        ("backend", _described(provider)),
    ]


def _described(provider: Provider) -> dict[str, Any]:
    """Return a backend's settings, with its price and abilities as far as they are known."""
    can, price = provider.expected()
    return {
        **provider.backend_settings(),
        "price": None if price is None else price.model_dump(mode="json"),
        "capabilities": None if can is None else can.model_dump(mode="json"),
    }
