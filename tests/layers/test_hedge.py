from __future__ import annotations

from random import Random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.asking import Moody, Streaming, ask
from tts.backends import Backend, Hedge, Meter, Retry
from tts.errors import BackendError, BackendUnavailable, RateLimited
from tts.layers import Account, Budget, Budgeted, Limited, Retrying
from tts.layers.hedge import Hedged, RecentQuantile
from tts.messages import Completion, Request
from tts.testing import ScriptedBackend, virtual_run

SETTINGS = Hedge(quantile=0.5, extra=1.0, warm_up=2)


def hedged(backend: Backend, settings: Hedge = SETTINGS, permits: int = 64) -> Hedged:
    limited = Limited(backend, permits)
    retrying = Retrying(limited, Retry(), burst=64)
    return Hedged(retrying, settings, lambda: limited.is_strained)


def slow_at(*slow: int, first: float = 1.0, late: float = 50.0) -> Streaming:
    """A model whose first token comes after a second, but for some calls."""
    return Streaming(lambda call: late if call in slow else first)


async def timed(layer: Backend, request: Request, meter: Meter) -> float:
    began = anyio.current_time()
    await layer.generate(request, meter)
    return anyio.current_time() - began


def run(layer: Backend, *meters: Meter, request: Request | None = None) -> list[float]:
    """Make one call after the other; return how long each took."""

    async def main() -> list[float]:
        times = [await timed(layer, request or ask(), meter) for meter in meters]
        assert len(anyio.get_running_tasks()) == 1
        return times

    return virtual_run(main)


def test_a_late_call_is_sent_twice_and_the_faster_copy_counts() -> None:
    backend, late = slow_at(2), Meter()
    assert run(hedged(backend), Meter(), Meter(), late) == [4.0, 4.0, 5.0]
    assert (late.hedged, late.attempts) == (True, 2)
    assert (late.prompt_tokens, late.completion_tokens) == (2, 3)  # the slower copy is charged
    assert (backend.cancelled, backend.active) == (1, 0)


def test_the_first_copy_may_still_win() -> None:
    backend = Streaming(lambda call: {2: 1.5, 3: 9.0}.get(call, 1.0))
    late = Meter()
    assert run(hedged(backend), Meter(), Meter(), late)[2] == 4.5
    assert (late.hedged, backend.cancelled) == (True, 1)


def test_long_answers_are_no_reason() -> None:
    backend = Streaming(lambda call: 1.0, "w " * 50)
    run(hedged(backend), *(Meter() for _ in range(6)))
    assert backend.started == 6


def test_only_the_winner_is_heard() -> None:
    heard: list[str] = []
    backend = slow_at(2)
    run(hedged(backend), Meter(), Meter(), Meter(listener=heard.append))
    assert "".join(heard) == "one two three "


def test_waiting_for_a_turn_is_not_late() -> None:
    backend = slow_at()
    layer = hedged(backend, permits=1)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(layer.generate, ask(), Meter())

    virtual_run(main)
    assert backend.started == 12


@pytest.mark.parametrize("request_", [ask(given="one"), ask()])
def test_what_has_no_first_token_is_not_hedged(request_: Request) -> None:
    latency = iter([1.0, 1.0, 1.0, 50.0])
    backend = ScriptedBackend(lambda request: "one", latency=lambda request: next(latency))
    run(hedged(backend), *(Meter() for _ in range(4)), request=request_)
    assert len(backend.requests) == 4


def test_nothing_is_hedged_while_the_provider_refuses_calls() -> None:
    backend = Moody([None, None, RateLimited("busy"), None], slow_at(3))
    run(hedged(backend), *(Meter() for _ in range(4)))
    assert len(backend.times) == 5  # four calls and a retry


@pytest.mark.long
@given(st.integers(0, 200), st.floats(0.01, 0.2))
def test_hedges_are_at_most_their_part_of_all_calls(salt: int, extra: float) -> None:
    dice = Random(salt)
    backend = Streaming(lambda call: dice.lognormvariate(0.0, 1.5))
    meters = [Meter() for _ in range(120)]
    run(hedged(backend, Hedge(quantile=0.6, extra=extra, warm_up=2)), *meters)
    assert backend.started - 120 == sum(meter.hedged for meter in meters) <= extra * 120


@pytest.mark.long
def test_the_tail_gets_shorter() -> None:
    """Independent copies, hedged at the 95th percentile for at most five per cent more calls."""

    def first_tokens(settings: Hedge | None) -> list[float]:
        dice = Random(7)
        backend = Streaming(lambda call: dice.lognormvariate(0.0, 1.5), "w")
        layer = hedged(backend, settings) if settings else Limited(backend, 64)
        return sorted(run(layer, *(Meter() for _ in range(4000))))

    plain, with_hedges = first_tokens(None), first_tokens(Hedge())
    assert with_hedges[int(0.99 * 4000)] < 0.7 * plain[int(0.99 * 4000)]


def test_a_copy_that_fails_leaves_the_other() -> None:
    backend = Moody([None, None, None, BackendError("odd")], slow_at(2, late=9.0))
    assert run(hedged(backend), Meter(), Meter(), Meter())[2] == 12.0


def test_when_all_copies_fail_the_first_error_counts() -> None:
    class Failing(Streaming):
        async def generate(self, request: Request, meter: Meter):  # type: ignore[no-untyped-def]
            if self.started < 2:
                return await super().generate(request, meter)
            self.started += 1
            number = self.started
            await anyio.sleep(9.0)
            raise BackendError(f"failure {number}")

    layer, meter = hedged(Failing(lambda call: 1.0)), Meter()
    with pytest.raises(BackendError, match="failure 3"):
        run(layer, Meter(), Meter(), meter)
    assert meter.hedged


def test_an_error_before_the_call_is_late_is_the_calls_own() -> None:
    layer = hedged(Moody([None, None, BackendError("odd")], slow_at()))
    with pytest.raises(BackendError, match="odd"):
        run(layer, Meter(), Meter(), Meter())


def test_a_bug_is_raised_as_itself() -> None:
    backend = slow_at()
    backend.first = lambda call: 1.0 if call < 2 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(hedged(backend), Meter(), Meter(), Meter())


def test_a_stream_that_breaks_is_mended_when_nobody_listens() -> None:
    backend = Streaming(lambda call: 1.0, breaks_after=lambda call: 1 if call == 2 else None)
    run(hedged(backend), Meter(), Meter(), Meter())
    assert backend.started == 4


def test_without_room_in_the_budget_there_is_no_second_copy() -> None:
    backend = slow_at(2)
    layer = hedged(backend)
    run(layer, Meter(), Meter())
    meter = Meter()

    async def main() -> Account:
        account = Account(Budget(total_tokens=9), 0.0)
        await Budgeted(layer, account).generate(ask(), meter)
        return account

    account = virtual_run(main)
    assert not meter.hedged
    assert (account.spent.tokens, account.promised.tokens) == (4, 0)


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.floats(0, 30), st.floats(0, 20)), min_size=1, max_size=8
    ),
    st.integers(0, 3),
)
def test_whoever_is_cancelled_leaves_nothing_behind(
    calls: list[tuple[float, float, float]], broken: int
) -> None:
    delays = iter([1.0, 1.0, *(delay for _, _, delay in calls)])
    backend = Streaming(
        lambda call: next(delays, 1.0), breaks_after=lambda call: 1 if call == broken + 2 else None
    )
    layer = hedged(backend)
    meters = [Meter() for _ in calls]

    async def one(meter: Meter, born: float, lasts: float) -> None:
        await anyio.sleep(born)
        with anyio.move_on_after(lasts):
            await layer.generate(ask(), meter)

    async def main() -> None:
        for _ in range(2):
            await layer.generate(ask(), Meter())
        async with anyio.create_task_group() as tasks:
            for meter, (born, lasts, _) in zip(meters, calls, strict=True):
                tasks.start_soon(one, meter, born, lasts)
        assert len(anyio.get_running_tasks()) == 1

    virtual_run(main)
    assert backend.active == 0
    assert sum(meter.attempts for meter in meters) == backend.started - 2
    assert sum(meter.prompt_tokens for meter in meters) == backend.started - 2


@given(st.lists(st.integers(0, 20), min_size=1), st.integers(1, 9), st.floats(0.01, 0.99))
def test_the_quantile_is_that_of_the_last_values(
    values: list[int], window: int, quantile: float
) -> None:
    recent = RecentQuantile(window)
    for value in values:
        recent.add(value)
    last = values[-window:]
    below = sum(value <= recent.value(quantile) for value in last)
    assert recent.value(quantile) in last
    assert below >= quantile * len(last) - 1e-9


def test_a_refused_call_is_not_learnt_from() -> None:
    layer = hedged(Moody([BackendUnavailable("down")], slow_at()))
    run(layer, Meter(), Meter())
    assert len(layer.first_tokens) == 1


class Thinking(Streaming):
    """A model that begins with reasoning, which nobody hears, and takes long to come to speak."""

    async def generate(self, request: Request, meter: Meter) -> Completion:
        await anyio.sleep(self.first(self.started))
        meter.begin()
        return await super().generate(request, meter)


def test_reasoning_is_a_first_token() -> None:
    backend, late = Thinking(lambda call: 40.0 if call in {2} else 1.0), Meter()
    backend.first = lambda call: 1.0
    layer = hedged(backend)
    run(layer, Meter(), Meter())
    assert [layer.first_tokens.value(quantile) for quantile in (0.5, 1.0)] == [1.0, 1.0]
    backend.first = lambda call: 1.0
    run(layer, late)
    assert not late.hedged
    assert late.began


def test_a_copy_that_thinks_has_won_over_one_that_is_silent() -> None:
    backend = Thinking(lambda call: 30.0)
    waits = iter([1.0, 9.0, 1.0, 9.0, 50.0, 2.0, 9.0, 9.0])
    backend.first = lambda call: next(waits)
    late = Meter()
    run(hedged(backend), Meter(), Meter(), late)
    assert (late.hedged, late.attempts) == (True, 2)
    assert backend.active == 0


def test_several_completions_of_one_call_are_not_hedged() -> None:
    backend = slow_at(2)
    meter = Meter()
    run(hedged(backend), Meter(), Meter())
    run(hedged(backend), meter, request=ask(n=2))
    assert not meter.hedged
