from __future__ import annotations

import contextlib
from collections import deque

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.asking import Moody, Telling, ask
from tests.play import Inline, answering, drawn, noise, play, rig
from tts import Pipeline
from tts.backends import Backend, Given, Limits, Meter, RateInfo
from tts.errors import BackendError, BackendUnavailable, ConfigError, RateLimited
from tts.layers import Layer, Limited, Permits
from tts.layers.line import Line
from tts.messages import Completion, Request
from tts.run import Run
from tts.solver import open_solver
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run


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


def limited(backend: Backend, permits: int = 64, **limits: object) -> Limited:
    return Limited(backend, permits, Limits.model_validate(limits))


async def send(layer: Backend, *requests: Request) -> list[float]:
    """Send all at once; return when each was answered or failed, counted from now."""
    began = anyio.current_time()
    times = [0.0] * len(requests)

    async def one(index: int) -> None:
        with contextlib.suppress(BackendError):
            await layer.generate(requests[index], Meter())
        times[index] = anyio.current_time() - began

    async with anyio.create_task_group() as tasks:
        for index in range(len(requests)):
            tasks.start_soon(one, index)
    return times


def says(words: int = 1, latency: float = 0.0) -> ScriptedBackend:
    return ScriptedBackend(lambda request: "w " * words, latency=latency)


def test_requests_leave_at_the_rate_of_the_quota() -> None:
    times = virtual_run(lambda: send(limited(says(), rpm=60), *[ask()] * 10))
    assert times[:6] == [0.0] * 6  # a tenth of a minute's quota at once
    assert times[6:] == pytest.approx([1.0, 2.0, 3.0, 4.0])


def test_tokens_that_were_not_used_come_back() -> None:
    requests = [ask(max_tokens=499)] * 3  # 500 with the prompt's word, of 600 at once
    wasteful = virtual_run(lambda: send(limited(says(499, 0.5), tpm=6000), *requests))
    thrifty = virtual_run(lambda: send(limited(says(1, 0.5), tpm=6000), *requests))
    assert wasteful == pytest.approx([0.5, 4.5, 9.5])
    assert thrifty == pytest.approx([0.5, 1.0, 1.5])


@given(
    st.integers(1, 300),
    st.integers(100, 9000),
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 2), st.floats(0, 9)), max_size=30),
)
def test_a_line_of_any_calls_comes_to_its_end(
    rpm: int, tpm: int, calls: list[tuple[int, int, float]]
) -> None:
    backend = says(1000)
    layer = limited(backend, 3, rpm=rpm, tpm=tpm)
    virtual_run(lambda: send(layer, *(ask(max_tokens=m, priority=p) for m, p, _ in calls)))
    assert len(backend.requests) == len(calls)
    assert (layer.in_flight, layer.waiting) == (0, 0)


def test_a_big_call_is_not_starved_by_small_ones() -> None:
    backend = says(1)
    layer = limited(backend, tpm=6000)
    stream = [ask(max_tokens=99)] * 20 + [ask(max_tokens=599)] + [ask(max_tokens=99)] * 200
    virtual_run(lambda: send(layer, *stream))
    assert [r.max_tokens for r in backend.requests].index(599) <= 20 + Line.PATIENCE


def test_higher_priority_goes_first() -> None:
    backend = says(latency=1.0)
    requests = [ask(), ask(), ask(priority=1), ask(priority=2)]
    virtual_run(lambda: send(limited(backend, 1), *requests))
    assert [request.priority for request in backend.requests] == [0, 2, 1, 0]


def test_a_provider_that_asks_to_wait_is_left_alone_by_all() -> None:
    layer = limited(Moody([RateLimited("busy", retry_after=7.0)]), 1)
    times = virtual_run(lambda: send(layer, ask(), ask(), ask()))
    assert times == [0.0, 7.0, 7.0]


def test_a_provider_that_says_nothing_is_left_is_left_alone() -> None:
    rates = iter([RateInfo(requests=0, requests_reset=3.0), RateInfo(tokens=0, tokens_reset=4.0)])
    layer = limited(Telling(says(), lambda: next(rates, RateInfo(requests=9))), 1)
    assert virtual_run(lambda: send(layer, ask(), ask(), ask())) == [0.0, 3.0, 7.0]


def test_the_window_finds_what_a_provider_bears() -> None:
    bears, refused = 12, 0

    class Bearing(ScriptedBackend):
        async def generate(self, request: Request, meter: Meter) -> Completion:
            nonlocal refused
            if self.active >= bears:
                refused += 1
                raise RateLimited("busy")
            return await super().generate(request, meter)

    backend = Bearing(lambda request: "w", latency=1.0)
    layer = limited(backend, concurrency="auto")
    virtual_run(lambda: send(layer, *[ask()] * 2000))
    assert refused <= 0.1 * 2000
    assert backend.most_active == bears
    assert bears * 0.6 - 1 <= layer.window.limit <= bears + 1


@pytest.mark.long
@pytest.mark.parametrize("latency", [0.1, 5.0])
def test_nine_tenths_of_the_quota_is_never_refused(latency: float) -> None:
    """The provider counts the last minute's requests and tokens, as many do."""
    sent: deque[tuple[float, int]] = deque()
    refused = 0

    class Counting(ScriptedBackend):
        async def generate(self, request: Request, meter: Meter) -> Completion:
            nonlocal refused
            now = anyio.current_time()
            while sent and sent[0][0] <= now - 60.0:
                sent.popleft()
            sent.append((now, 1 + request.max_tokens))
            if len(sent) > 500 or sum(tokens for _, tokens in sent) > 20_000:
                refused += 1
                raise RateLimited("too many")
            return await super().generate(request, meter)

    backend = Counting(lambda request: "w " * request.max_tokens, latency=latency)
    layer = limited(backend, rpm=450, tpm=18_000)
    requests = [ask(max_tokens=10 + index % 37) for index in range(2000)]
    virtual_run(lambda: send(layer, *requests))
    assert refused == 0


@given(
    st.sampled_from([{}, {"rpm": 60}, {"tpm": 600}, {"rpm": 30, "tpm": 900}]),
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=12),
    st.integers(1, 3),
)
def test_whoever_is_cancelled_leaves_nothing_behind(
    limits: dict[str, int], lives: list[tuple[float, float]], permits: int
) -> None:
    backend = says(3, latency=2.0)
    layer = limited(backend, permits, **limits)

    async def life(born: float, lasts: float) -> None:
        await anyio.sleep(born)
        with anyio.move_on_after(lasts):
            await layer.generate(ask(max_tokens=50), Meter())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for born, lasts in lives:
                tasks.start_soon(life, born, lasts)
        assert (layer.in_flight, layer.waiting, backend.active) == (0, 0, 0)
        assert len(anyio.get_running_tasks()) == 1
        await anyio.sleep(3600)
        assert await send(layer, ask()) == [2.0]

    virtual_run(main)


def test_the_time_is_kept_when_who_kept_it_is_cancelled() -> None:
    layer = limited(says(), rpm=6)

    async def main() -> list[float]:
        times: list[float] = []
        async with anyio.create_task_group() as tasks:
            await layer.generate(ask(), Meter())
            for patience in (1.0, 2.0, 60.0):
                tasks.start_soon(impatient, patience, times)
        return times

    async def impatient(patience: float, times: list[float]) -> None:
        with anyio.move_on_after(patience):
            await layer.generate(ask(), Meter())
            times.append(anyio.current_time())

    assert virtual_run(main) == pytest.approx([10.0])


def test_models_may_share_their_permits() -> None:
    backend = says(latency=1.0)

    async def main() -> list[float]:
        shared = Permits(3)
        layers = [Limited(backend, 2, None, shared) for _ in range(4)]
        times: list[float] = []

        async def one(layer: Limited) -> None:
            times.extend(await send(layer, ask(), ask()))

        async with anyio.create_task_group() as tasks:
            for layer in layers:
                tasks.start_soon(one, layer)
            await anyio.sleep(0.5)
            tasks.start_soon(cancelled, layers[0])
        assert shared.free == 3
        assert [layer.in_flight for layer in layers] == [0] * 4
        return sorted(times)

    async def cancelled(layer: Limited) -> None:
        with anyio.move_on_after(0.1):
            await layer.generate(ask(), Meter())

    assert virtual_run(main) == [1.0] * 3 + [2.0] * 3 + [3.0] * 2
    assert backend.most_active == 3


def test_a_pipeline_bounds_all_its_models_together() -> None:
    backends = [answering(["a"] * 8), answering(["a"] * 8)]
    pipeline = Pipeline(
        models={"one": Given(backend=backends[0]), "two": Given(backend=backends[1])},
        strategy={"use": "self_consistency", "samples": 8, "stop": "never"},  # type: ignore[arg-type]  # parsed by the field
        concurrency=2,
    )

    async def main() -> None:
        async with open_solver(pipeline) as solver:
            await solver.solve(pipeline.problem("q"))

    virtual_run(main)
    assert backends[0].most_active == 2


def test_what_the_model_cannot_do_has_not_left() -> None:
    class Unable(Layer):
        async def generate(self, request: Request, meter: Meter) -> Completion:
            raise ConfigError("no such ability")

    layer, meter = Limited(Unable(answering(["1"])), 1), Meter()

    async def main() -> None:
        with pytest.raises(ConfigError):
            await layer.generate(ask(), meter)

    virtual_run(main)
    assert (meter.started, meter.attempts, layer.in_flight) == (False, 0, 0)


def order(backend: ScriptedBackend) -> list[str]:
    return [request.messages[0].content for request in backend.requests]


def test_a_call_of_high_priority_overtakes() -> None:
    backend = ScriptedBackend(lambda request: "a", latency=1.0)

    async def work(run: Run) -> None:
        async def ask_for(rank: int) -> None:
            await run.generate(str(rank), priority=rank)

        await run.map(ask_for, [0, 1, 5])  # the first takes the only permit

    play(backend, work, concurrency=1)
    assert order(backend) == ["0", "5", "1"]


@pytest.mark.parametrize("how", ["generate", "sample", "solve", "map"])
def test_a_scope_of_high_priority_overtakes_with_all_that_starts_in_it(how: str) -> None:
    backend = ScriptedBackend(lambda request: "Answer: 1", latency=1.0)

    async def work(run: Run) -> None:
        async def one(rank_and_text: tuple[int, str]) -> None:
            rank, text = rank_and_text
            await anyio.sleep(0.0 if text == "first" else 0.1)
            with run.priority(rank):
                await asked(run, text)

        async def asked(run: Run, text: str) -> None:
            if how == "generate":
                await run.generate(text)
            elif how == "sample":
                async with run.sample(text, 1) as samples:
                    assert len([candidate async for candidate in samples]) == 1
            elif how == "map":
                await run.map(run.generate, [text])
            else:
                await run.solve(Inline(work=lambda child: child.generate(text)))

        await run.map(one, [(0, "first"), (0, "later"), (5, "urgent")])

    play(backend, work, concurrency=1)
    assert order(backend) == ["first", "urgent", "later"]
    assert [request.priority for request in backend.requests] == [0, 5, 0]


def test_a_priority_ends_with_its_scope_and_yields_to_the_calls_own() -> None:
    backend = ScriptedBackend(lambda request: "a")

    async def work(run: Run) -> None:
        with run.priority(3):
            await run.generate("q")
            await run.generate("q", priority=1)
        await run.generate("q")

    play(backend, work)
    assert [request.priority for request in backend.requests] == [3, 1, 0]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), st.floats(0, 3)), max_size=12))
def test_shared_permits_are_never_more_than_there_are_and_all_come_back(
    calls: list[tuple[int, int, float]],
) -> None:
    async def main() -> None:
        permits = Permits(3)

        async def hold(wanted: int, priority: int, lasts: float) -> None:
            with anyio.move_on_after(lasts + 0.7):
                async with permits.hold(wanted, priority):
                    assert permits.free >= 0
                    await anyio.sleep(lasts)

        async with anyio.create_task_group() as tasks:
            for wanted, priority, lasts in calls:
                tasks.start_soon(hold, wanted, priority, lasts)
        assert permits.free == 3

    virtual_run(main)


def test_models_that_share_permits_share_their_priorities() -> None:
    backend, permits = ScriptedBackend(lambda request: "a", latency=1.0), Permits(1)
    layers = [Limited(backend, 9, shared=permits) for _ in range(3)]

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for layer, priority in zip(layers, (0, 0, 5), strict=True):
                request = ask(str(priority), priority=priority, ticket=len(backend.requests))
                tasks.start_soon(layer.generate, request, Meter())

    virtual_run(main)
    assert order(backend) == ["0", "5", "0"]
