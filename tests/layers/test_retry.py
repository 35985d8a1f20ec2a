from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.asking import Moody, Streaming, ask
from tests.play import answering
from tts import Budget, Pipeline, Price
from tts.backends import Backend, Given, Meter, Retry
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    InvalidResponse,
    RateLimited,
)
from tts.layers import Account, Budgeted, Layer, Limited, Retrying
from tts.layers.retry import can_help, wait_before
from tts.messages import Completion, Request
from tts.solver import open_solver
from tts.testing import ScriptedBackend, virtual_run

DOWN = BackendUnavailable("down", status=503)


def retrying(backend: Backend, burst: int = 64, **settings: object) -> Retrying:
    return Retrying(Limited(backend, 64), Retry.model_validate(settings), burst=burst)


async def outcome(layer: Backend, request: Request, meter: Meter | None = None) -> object:
    """Return the text, or the error's class."""
    try:
        return (await layer.generate(request, meter or Meter())).text
    except BackendError as error:
        return type(error)


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (RateLimited("busy"), True),
        (BackendTimeout("slow"), True),
        (BackendUnavailable("reset"), True),
        (BackendUnavailable("not implemented", status=501), False),
        (BackendError("overloaded", status=529), True),
        (BackendError("odd", status=418), False),
        (AuthenticationError("key", status=401), False),
        (ContextLengthExceeded("long", status=400), False),
        (InvalidResponse("no JSON"), False),
        (AuthenticationError("no credit", status=429), False),
        (ContextLengthExceeded("long", status=500), False),
    ],
)
def test_what_passes_is_tried_again_and_what_stays_is_not(error: BackendError, helps: bool) -> None:
    backend = Moody([error])
    assert can_help(error) == helps
    expected = "one two" if helps else type(error)
    assert virtual_run(lambda: outcome(retrying(backend), ask())) == expected
    assert len(backend.times) == 1 + helps


@given(st.integers(1, 6), st.integers(0, 8))
def test_attempts_are_bounded(attempts: int, failures: int) -> None:
    backend = Moody([DOWN] * failures)
    result = virtual_run(lambda: outcome(retrying(backend, attempts=attempts), ask()))
    assert len(backend.times) == min(attempts, failures + 1)
    assert result == ("one two" if failures < attempts else BackendUnavailable)


@given(st.integers(1, 2000), st.floats(0, 9), st.floats(0, 99), st.integers(0, 2**31 - 1))
def test_waits_are_bounded_and_replay(attempt: int, first: float, most: float, seed: int) -> None:
    retry = Retry(first_wait=first, longest_wait=most)
    wait = wait_before(attempt, DOWN, retry, ask(seed=seed))
    assert 0.0 <= wait <= min(most, first * 2.0 ** min(attempt - 1, 60))
    assert wait == wait_before(attempt, DOWN, retry, ask(seed=seed))


def test_calls_that_failed_together_come_back_apart() -> None:
    waits = {wait_before(1, DOWN, Retry(), ask(ticket=ticket)) for ticket in range(100)}
    assert len(waits) == 100
    assert 0.2 < sum(waits) / 100 < 0.3


@pytest.mark.parametrize("kind", [RateLimited, BackendUnavailable])
def test_what_a_provider_asks_to_wait_is_waited(
    kind: type[RateLimited] | type[BackendUnavailable],
) -> None:
    backend = Moody([kind("wait", retry_after=20.0)])
    assert virtual_run(lambda: outcome(retrying(backend), ask())) == "one two"
    assert 20.0 <= backend.times[1] <= 20.5


def test_a_provider_that_asks_for_too_much_is_not_waited_for() -> None:
    backend = Moody([RateLimited("tomorrow", retry_after=86_400.0)])
    assert virtual_run(lambda: outcome(retrying(backend), ask())) is RateLimited
    assert len(backend.times) == 1


def test_a_wait_past_the_time_limit_is_not_begun() -> None:
    backend = Moody([RateLimited("wait", retry_after=20.0)])
    request = ask(timeout=10.0)
    assert virtual_run(lambda: outcome(retrying(backend), request)) is RateLimited


def test_a_server_that_is_down_is_not_buried() -> None:
    backend = Moody([DOWN] * 10_000)
    layer = retrying(backend, burst=20, attempts=4)

    async def main() -> None:
        for ticket in range(1000):
            assert await outcome(layer, ask(ticket=ticket)) is BackendUnavailable

    virtual_run(main)
    assert 1100 <= len(backend.times) <= 1000 + 20 + 100


def test_waits_that_the_provider_asked_for_need_no_allowance() -> None:
    backend = Moody([RateLimited("wait", retry_after=1.0)] * 3)
    layer = retrying(backend, burst=0, budget=0.0)
    assert virtual_run(lambda: outcome(layer, ask())) == "one two"


def test_tokens_of_failed_attempts_are_charged() -> None:
    meter = Meter()
    layer = retrying(Moody([DOWN, DOWN], spends=7))
    virtual_run(lambda: outcome(layer, ask(), meter))
    assert (meter.prompt_tokens, meter.completion_tokens) == (15, 2)
    assert (meter.attempts, meter.started) == (3, True)


def test_text_that_was_heard_is_never_asked_for_again() -> None:
    heard: list[str] = []
    backend = Streaming(lambda call: 1.0, breaks_after=lambda call: 1 if call == 0 else None)
    meter = Meter(listener=heard.append)
    assert virtual_run(lambda: outcome(retrying(backend), ask(), meter)) is BackendError
    assert heard == ["one "]


def test_a_stream_that_broke_before_its_first_word_is_tried_again() -> None:
    heard: list[str] = []
    backend = Streaming(lambda call: 1.0, breaks_after=lambda call: 0 if call == 0 else None)
    meter = Meter(listener=heard.append)
    assert virtual_run(lambda: outcome(retrying(backend), ask(), meter)) == "one two three"
    assert heard == ["one ", "two ", "three "]


def test_a_listener_that_can_take_words_back_hears_them_again() -> None:
    heard: list[str] = []
    backend = Streaming(lambda call: 1.0, breaks_after=lambda call: 1 if call == 0 else None)
    meter = Meter(listener=heard.append, retractable=True)
    assert virtual_run(lambda: outcome(retrying(backend), ask(), meter)) == "one two three"
    assert heard == ["one ", "one ", "two ", "three "]


class Watched(Layer):
    """Fails each first attempt after spending half, and looks at the account all the time."""

    account: Account
    overspent = False

    async def generate(self, request: Request, meter: Meter) -> Completion:
        left = self.account.remaining
        self.overspent = self.overspent or left.tokens < 0 or left.usd < -1e-9
        meter.prompt_tokens, meter.completion_tokens = 3, 10
        await anyio.sleep(1.0)
        raise DOWN


@given(st.integers(1, 300), st.integers(1, 12))
def test_attempts_together_never_overspend(limit: int, calls: int) -> None:
    backend = Watched(ScriptedBackend([], price=Price(input=1.0, output=2.0)))
    layer = Retrying(Limited(backend, 4), Retry(), burst=64)

    async def main() -> Account:
        account = backend.account = Account(Budget(total_tokens=limit, usd=1e-3), 0.0)
        async with anyio.create_task_group() as tasks:
            for ticket in range(calls):
                tasks.start_soon(call, Budgeted(layer, account), ticket)
        return account

    async def call(budgeted: Budgeted, ticket: int) -> None:
        with pytest.raises(Exception, match=r"down|budget"):
            await budgeted.generate(ask("a b c", max_tokens=20, ticket=ticket), Meter())

    account = virtual_run(main)
    assert not backend.overspent
    assert account.spent.tokens <= limit
    assert (account.promised.tokens, account.promised.calls) == (0, 0)


@given(st.floats(0.0, 40.0), st.integers(0, 5))
def test_whoever_is_cancelled_pays_and_leaves_nothing(after: float, failures: int) -> None:
    inner = ScriptedBackend(lambda request: "one two", latency=2.0)
    backend = Moody([DOWN] * failures, inner, spends=7)
    layer, meter = retrying(backend), Meter()

    async def main() -> None:
        with anyio.move_on_after(after):
            await outcome(layer, ask(), meter)
        assert len(anyio.get_running_tasks()) == 1

    virtual_run(main)
    assert meter.attempts == len(backend.times)
    assert meter.prompt_tokens >= 7 * min(failures, len(backend.times))
    assert isinstance(layer.inner, Limited)
    assert layer.inner.in_flight == inner.active == 0


def solved(backend: Backend, **settings: object) -> Callable[[], object]:
    model = Given.model_validate({"backend": backend} | settings)
    pipeline = Pipeline(
        models={"m": model},
        strategy={"use": "self_consistency", "samples": 4, "stop": "never"},  # type: ignore[arg-type]  # parsed by the field
    )

    async def main() -> tuple[int, int, int]:
        async with open_solver(pipeline) as solver:
            solution = await solver.solve(pipeline.problem("q"))
            return solution.samples, solution.failed_calls, solution.usage.calls

    return lambda: virtual_run(main)


def test_one_server_error_costs_no_vote() -> None:
    backend = Moody([BackendUnavailable("oops", status=500)], answering(["a"] * 4))
    assert solved(backend)() == (4, 0, 4)


def test_it_can_be_turned_off() -> None:
    backend = Moody([BackendUnavailable("oops", status=500)], answering(["a"] * 4))
    assert solved(backend, retry={"attempts": 1})() == (3, 1, 4)
