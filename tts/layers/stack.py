"""Which layers stand on a model, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tts.backends.base import Backend, Provider
from tts.layers.base import Layer
from tts.layers.budget import Account, Budgeted
from tts.layers.hedge import Hedged
from tts.layers.limit import Limited
from tts.layers.retry import Retrying
from tts.layers.trace import Trace, Traced

__all__ = ["Stack", "open_stack"]


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

    def for_run(self, trace: Trace, account: Account) -> Backend:
        """Return the whole stack with a run's own layers on top."""
        return Budgeted(Traced(self.top, trace), account)

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
def open_stack(provider: Provider, backend: Backend) -> Iterator[Stack]:
    """Put the layers that a provider's settings ask for on its backend.

    Raises:
        ConfigError: If the cache cannot be opened.
    """
    limited = Limited(backend, provider.concurrency, provider.limits)
    top: Backend = limited
    if provider.retry.attempts > 1:
        top = Retrying(top, provider.retry, burst=limited.concurrency)
    if provider.hedge is not None:
        top = Hedged(top, provider.hedge, lambda: limited.is_strained)
    if provider.cache is None:
        yield Stack(top, limited)
        return
    from tts.layers.cache import Cached, open_store  # sqlite3 is not everybody's import

    with open_store(provider.cache) as store:
        yield Stack(Cached(top, store, provider.identity()), limited)
