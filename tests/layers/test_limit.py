from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.play import answering, drawn, noise, play, rig
from tts.errors import BackendUnavailable
from tts.run import Run
from tts.testing import FlakyBackend, virtual_run


@given(st.integers(1, 8), st.integers(1, 12), st.integers())
def test_calls_in_flight_never_exceed_the_permits(permits: int, n: int, salt: int) -> None:
    backend = answering(["a"] * n, latency=noise(salt))
    play(backend, lambda run: drawn(run, n), concurrency=permits)
    assert backend.most_active == min(permits, n)


@given(st.integers(1, 4), st.integers())
def test_calls_are_served_in_order_of_arrival(permits: int, salt: int) -> None:
    backend = answering(["a"] * 9, latency=noise(salt))
    play(backend, lambda run: drawn(run, 9), concurrency=permits)
    assert [request.ticket for request in backend.requests] == list(range(9))


@given(st.integers(1, 4), st.floats(0.0, 30.0), st.sets(st.integers(0, 8)), st.integers())
def test_permits_come_back_whatever_happens(
    permits: int, cancel_after: float, lost: set[int], salt: int
) -> None:
    inner = answering(["a"] * 9, latency=noise(salt))
    backend = FlakyBackend(inner, lambda request: request.ticket in lost)

    async def main() -> int:
        made = rig(backend, concurrency=permits)
        with anyio.move_on_after(cancel_after):
            await made.run.map(lambda _: drawn(made.run, 9), range(2), failures="skip")
        return made.limited.in_flight

    assert virtual_run(main) == 0


def test_in_flight_counts_held_permits() -> None:
    async def work(run: Run) -> int:
        made = rig(answering(["a"] * 5), concurrency=3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drawn, made.run, 5)
            await anyio.sleep(0.5)
            return made.limited.in_flight
        raise AssertionError

    assert play(answering([]), work).value == 3


def test_a_call_that_waits_for_a_permit_has_not_started() -> None:
    backend = FlakyBackend(answering(["a"] * 3), lambda request: request.ticket == 0)

    async def work(run: Run) -> None:
        with pytest.raises(BackendUnavailable):
            await run.generate("Q")
        with anyio.move_on_after(0.5):
            await drawn(run, 3)

    assert play(backend, work, concurrency=1).solution.usage.calls == 3
