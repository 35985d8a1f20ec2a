"""What every call layer must do, alone and in the whole stack."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.asking import Moody, Streaming, ask
from tts.backends import Backend, Hedge, Limits, Meter, Retry
from tts.errors import AuthenticationError, BackendError, RateLimited
from tts.layers import (
    Account,
    Budget,
    Budgeted,
    Limited,
    Record,
    Retrying,
    Trace,
    Traced,
    build_stack,
    store,
)
from tts.layers.cache import Cached
from tts.layers.hedge import Hedged
from tts.layers.store import Store
from tts.testing import virtual_run

LIMITS = Limits(rpm=40, tpm=3000, concurrency="auto")
HEDGE = Hedge(quantile=0.5, extra=1.0, warm_up=2)


@dataclass
class Made:
    """A layer, and how to see that nothing is left in it."""

    layer: Backend
    limited: Limited
    account: Account
    cached: Cached

    @property
    def leftovers(self) -> tuple[object, ...]:
        return (
            self.limited.in_flight,
            self.limited.waiting,
            self.account.promised,
            self.cached._flights,
            len(anyio.get_running_tasks()) - 1,
        )


NOTHING: tuple[object, ...] = (0, 0, (0, 0, 0), {}, 0)


def make(kind: str, backend: Backend) -> Made:
    limited = Limited(backend, 2, LIMITS if kind in {"limit", "stack"} else None)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    store._lay_out(connection)
    cached = Cached(limited, Store(connection, max_bytes=1e9, max_seconds=1e9), {})
    account = Account(Budget(total_tokens=100_000, calls=1000), 0.0)
    layers: dict[str, Callable[[Backend], Backend]] = {
        "limit": lambda inner: inner,
        "retry": lambda inner: Retrying(inner, Retry(), burst=64),
        "hedge": lambda inner: Hedged(inner, HEDGE, lambda: limited.is_strained),
        "cache": lambda inner: _around(cached, inner),
        "trace": lambda inner: Traced(inner, Trace(list[Record]().append)),
        "budget": lambda inner: Budgeted(inner, account),
    }
    layer: Backend = limited
    for name in layers if kind == "stack" else [kind]:
        layer = layers[name](layer)
    return Made(layer, limited, account, cached)


def _around(cached: Cached, inner: Backend) -> Cached:
    cached.inner = inner
    return cached


KINDS = ["limit", "retry", "hedge", "cache", "trace", "budget", "stack"]
every_layer = pytest.mark.parametrize("kind", KINDS)
DELAYS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 30.0]), max_size=8)
LIVES = st.lists(
    st.tuples(st.floats(0, 9), st.one_of(st.none(), st.floats(0, 40)), st.integers(0, 3)),
    min_size=1,
    max_size=8,
)


@every_layer
def test_a_layer_is_a_backend_like_the_one_inside(kind: str) -> None:
    backend = Streaming(lambda call: 0.0)
    layer = make(kind, backend).layer
    assert isinstance(layer, Backend)
    assert (layer.name, layer.price) == (backend.name, backend.price)
    assert layer.capabilities == backend.capabilities
    assert layer.prompt_tokens(ask()) == 1


@every_layer
def test_an_answer_comes_up_as_it_is_and_is_heard_once(kind: str) -> None:
    backend, heard = Streaming(lambda call: 1.0), list[str]()
    meter = Meter(listener=heard.append)

    async def main() -> str:
        return (await make(kind, backend).layer.generate(ask(), meter)).text

    assert virtual_run(main) == backend.text
    assert "".join(heard).split() == backend.text.split()
    assert (meter.prompt_tokens, meter.completion_tokens) == (1, 3)
    assert (meter.started, meter.attempts) == (True, 1)


@every_layer
def test_nobody_who_does_not_listen_makes_the_model_stream(kind: str) -> None:
    meters: list[Meter] = []

    class Seen(Streaming):
        async def generate(self, request, meter):  # type: ignore[no-untyped-def]
            meters.append(meter)
            return await super().generate(request, meter)

    made = make(kind, Seen(lambda call: 0.0))
    virtual_run(lambda: made.layer.generate(ask(), Meter()))
    needs_the_first_token = kind in {"hedge", "stack"}
    assert (meters[0].listener is not None) == needs_the_first_token


@every_layer
def test_an_error_that_stays_comes_up_as_itself(kind: str) -> None:
    error = AuthenticationError("wrong key")
    made = make(kind, Moody([error], spends=3))
    meter = Meter()

    async def main() -> None:
        with pytest.raises(AuthenticationError) as raised:
            await made.layer.generate(ask(), meter)
        assert raised.value is error
        assert made.leftovers == NOTHING

    virtual_run(main)
    assert (meter.prompt_tokens, meter.attempts) == (3, 1)


@every_layer
@given(delays=DELAYS, lives=LIVES, refusals=st.lists(st.booleans(), max_size=8))
def test_calls_cancelled_at_any_moment_are_charged_and_leave_nothing(
    kind: str,
    delays: list[float],
    lives: list[tuple[float, float | None, int]],
    refusals: list[bool],
) -> None:
    first = iter(delays)
    backend = Streaming(lambda call: next(first, 1.0))
    moody = Moody([RateLimited("busy") if refused else None for refused in refusals], backend)
    meters = [Meter() for _ in lives]

    async def one(made: Made, meter: Meter, life: tuple[float, float | None, int]) -> None:
        born, lasts, seed = life
        await anyio.sleep(born)
        with anyio.CancelScope() as scope:
            if lasts is not None:
                scope.deadline = anyio.current_time() + lasts
            try:
                await made.layer.generate(ask(seed=seed, max_tokens=50), meter)
            except BackendError:
                assert lasts is None or anyio.current_time() <= scope.deadline
        assert lasts is None or anyio.current_time() <= scope.deadline + 1e-6

    async def main() -> None:
        made = make(kind, moody)
        with anyio.fail_after(3600):
            async with anyio.create_task_group() as tasks:
                for meter, life in zip(meters, lives, strict=False):
                    tasks.start_soon(one, made, meter, life)
        assert made.leftovers == NOTHING
        with anyio.fail_after(3600), contextlib.suppress(BackendError):  # and it still works
            await made.layer.generate(ask(seed=99), meters[-1])

    meters.append(Meter())
    virtual_run(main)
    assert backend.active == 0
    assert sum(meter.attempts for meter in meters) == len(moody.times)
    assert sum(meter.prompt_tokens for meter in meters) == backend.started


def test_the_stack_stands_in_the_order_of_the_picture() -> None:
    from tts.backends import Given

    provider = Given.model_validate({"backend": Streaming(lambda call: 0.0), "hedge": {}})
    stack = build_stack(provider, provider.backend)
    names = [type(layer).__name__ for layer in stack.layers]
    whole = stack.for_run(Trace(), Account(Budget(), 0.0))
    assert names == ["Hedged", "Retrying", "Limited"]
    assert isinstance(whole, Budgeted)
    assert isinstance(whole.inner, Traced)
