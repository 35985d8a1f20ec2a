"""Calls drive the engine in turn; nobody waits for a call that is gone."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import to_thread

from tests.backends.reference.networks import TINY, finished, network, prompt, row
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.scheduler import Scheduler
from tts.errors import BackendError

pytestmark = pytest.mark.anyio


class Recorder(Engine):
    """Notes the threads that step it; fails on demand."""

    def __init__(self) -> None:
        super().__init__(network("tiny"))
        self.threads: set[int] = set()
        self.fails = False

    def step(self) -> bool:
        self.threads.add(threading.get_ident())
        if self.fails and self.batch:
            raise MemoryError("no more")
        return super().step()


class Factory:
    """Makes engines and keeps them."""

    def __init__(self, fails: bool = False) -> None:
        self.made: list[Recorder] = []
        self.fails = fails

    def __call__(self) -> Recorder:
        engine = Recorder()
        engine.fails = self.fails and not self.made
        self.made.append(engine)
        return engine


def nothing() -> None:
    pass


def alone(each: Row) -> list[int]:
    twin = row(each.prompt, seed=each.seed, limit=each.limit)
    return finished(Engine(network("tiny")), twin)[0].tokens


async def test_calls_that_run_together_get_their_own_rows() -> None:
    scheduler = Scheduler(Factory())
    rows = [row(prompt(TINY, 5), seed=seed, limit=3 + seed) for seed in range(12)]
    async with anyio.create_task_group() as group:
        for each in rows:
            group.start_soon(scheduler.run, each, nothing)
    assert all(each.tokens == alone(each) for each in rows)


async def test_steps_run_outside_the_event_loops_thread() -> None:
    factory = Factory()
    await Scheduler(factory).run(row(prompt(TINY, 5)), nothing)
    assert factory.made[0].threads
    assert threading.get_ident() not in factory.made[0].threads


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_when_a_call_is_cancelled_the_others_go_on(gone: int) -> None:
    factory = Factory()
    scheduler = Scheduler(factory)
    rows = [row(prompt(TINY, 5), seed=seed, limit=150) for seed in range(3)]
    scopes = [anyio.CancelScope() for _ in rows]

    def report() -> None:
        if all(each.tokens for each in rows):
            scopes[gone].cancel()

    async def call(index: int) -> None:
        with scopes[index]:
            await scheduler.run(rows[index], report)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for index in range(3):
                group.start_soon(call, index)
    for index, each in enumerate(rows):
        if index != gone:
            assert each.tokens == alone(each)
    held = len(rows[gone].tokens)
    assert rows[gone].tokens == alone(rows[gone])[:held]
    assert rows[gone].cancelled or held == 150
    await scheduler.run(row(prompt(TINY, 3), limit=1), nothing)
    assert not factory.made[0].busy


async def test_a_call_cancelled_before_it_starts_leaves_nothing() -> None:
    factory = Factory()
    scheduler = Scheduler(factory)
    dropped = row(prompt(TINY, 5))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await scheduler.run(dropped, nothing)
    await scheduler.run(row(prompt(TINY, 4)), nothing)
    assert not dropped.tokens
    assert not factory.made[0].busy


async def test_when_the_engine_fails_every_waiting_call_gets_the_error() -> None:
    factory = Factory(fails=True)
    scheduler = Scheduler(factory)
    failures: list[BaseException | None] = []

    async def call(seed: int) -> None:
        with pytest.raises(BackendError, match="no more") as caught:
            await scheduler.run(row(prompt(TINY, 5), seed=seed, limit=50), nothing)
        failures.append(caught.value.__cause__)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for seed in range(4):
                group.start_soon(call, seed)
    assert [type(each) for each in failures] == [MemoryError] * 4
    after = row(prompt(TINY, 5))
    await scheduler.run(after, nothing)
    assert after.tokens == alone(after)


async def test_the_users_threads_are_not_needed() -> None:
    limiter = to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.total_tokens))]
    for borrower in borrowers:
        limiter.acquire_on_behalf_of_nowait(borrower)
    try:
        each = row(prompt(TINY, 5))
        with anyio.fail_after(30):
            await Scheduler(Factory()).run(each, nothing)
        assert each.finish is not None
    finally:
        for borrower in borrowers:
            limiter.release_on_behalf_of(borrower)


async def test_progress_is_reported_while_a_row_runs() -> None:
    each = row(prompt(TINY, 5), limit=150)
    seen: list[int] = []
    await Scheduler(Factory()).run(each, lambda: seen.append(len(each.tokens)))
    assert seen == sorted(seen)
    assert seen[-1] == 150
