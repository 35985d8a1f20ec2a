"""Several draws of a sample in one request: what comes, what it costs, what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.play import Played, drawn, play, rig
from tts.backends import Backend, Cache, Capabilities, Given, Meter
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    ContextLengthExceeded,
    InvalidResponse,
    RateLimited,
)
from tts.layers import Budget, Groups
from tts.layers.limit import Limited
from tts.messages import Completion, Request, Usage
from tts.problem import Exhausted
from tts.run import Run
from tts.solver import solve
from tts.stopping import Dominance
from tts.testing import ScriptedBackend, completion, virtual_run
from tts.votes import Tally


class Several(ScriptedBackend):
    """A model that draws several at once; it answers each ticket with its number.

    Args:
        most: A request for more is refused.
        gives: Completions that it gives of those that were asked for.
        unreadable: Tickets whose completion makes no sense.
        fails: Says in which error a request ends, if it does.
        texts: What the draw of a ticket says.
    """

    def __init__(
        self,
        *,
        most: int = 64,
        gives: int = 64,
        unreadable: frozenset[int] = frozenset(),
        fails: Callable[[Request], BackendError | None] = lambda request: None,
        texts: Callable[[int], str] = lambda ticket: f"Answer: {ticket}",
        latency: float = 1.0,
    ) -> None:
        can = Capabilities(seed=True, n=True, logprobs=True)
        super().__init__(lambda r: texts(r.ticket), latency=latency, capabilities=can)
        self.most, self.gives, self.unreadable, self.fails = most, gives, unreadable, fails
        self.texts = texts

    async def generate(self, request: Request, meter: Meter) -> Completion:
        if request.n > self.most:
            self.requests.append(request)
            raise ConfigError("so many are refused")
        error = self.fails(request)
        one = await super().generate(request, meter)
        if error is not None:
            raise error
        if request.n == 1:
            return one
        draws = tuple(self._draw(request, index) for index in range(min(request.n, self.gives)))
        made = sum(draw.usage.completion_tokens for draw in draws if draw)
        usage = Usage(prompt_tokens=meter.prompt_tokens, completion_tokens=made)
        return one.model_copy(update={"draws": draws, "usage": usage})

    def _draw(self, request: Request, index: int) -> Completion | None:
        ticket = request.ticket + index
        prompt = 0 if index else self.prompt_tokens(request)
        said = completion(self.texts(ticket), prompt_tokens=prompt)
        return None if ticket in self.unreadable else said


def sampled(backend: Backend, n: int = 8, **settings: Any) -> Played:
    options = {key: settings.pop(key) for key in ("order", "max_tokens") if key in settings}
    return play(backend, lambda run: drawn(run, n, **options), **settings)


def sizes(backend: Several) -> list[int]:
    return [request.n for request in backend.requests]


def calls(played: Played) -> list[dict[str, Any]]:
    return [record for record in played.rig.records if record["event"] == "call"]


def test_a_sample_without_a_rule_is_one_request() -> None:
    backend = Several()
    played = sampled(backend)
    assert played.value == [str(ticket) for ticket in range(8)]
    assert sizes(backend) == [8]
    usage = played.solution.usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (8, 1, 16)
    assert (usage.critical_tokens, usage.critical_completion_tokens) == (3, 2)
    assert usage.critical_seconds == pytest.approx(1.0)


def test_its_record_and_its_budget_hold_all_of_them() -> None:
    played = sampled(Several(), budget=Budget(total_tokens=10_000, calls=8))
    (record,) = calls(played)
    assert (record["n"], record["ticket"], record["completion_tokens"]) == (8, 0, 16)
    account = played.rig.account
    assert (account.spent.calls, account.spent.tokens) == (8, 17)
    assert account.promised == (0, 0, 0)


def test_the_most_that_all_may_use_is_reserved() -> None:
    async def main() -> list[float]:
        made = rig(Several(), budget=Budget(total_tokens=10_000))
        seen: list[float] = []

        async def look() -> None:
            await anyio.sleep(0.5)
            seen.append(made.account.promised.tokens)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            await drawn(made.run, 8, max_tokens=100)
        return seen

    assert virtual_run(main) == [801]


def test_a_rule_that_may_stop_draws_one_by_one() -> None:
    backend = Several(texts=lambda ticket: "Answer: 1")

    async def work(run: Run) -> None:
        votes = Tally()
        async with run.sample("Q", 8, stop=Dominance(), votes=votes) as samples:
            async for candidate in samples:
                votes.add(candidate)

    play(backend, work)
    assert set(sizes(backend)) == {1}


@pytest.mark.parametrize("options", [{"given": "x"}])
def test_what_cannot_be_drawn_together_is_not(options: dict[str, Any]) -> None:
    backend = Several()
    play(backend, lambda run: drawn(run, 4, **options))
    assert sizes(backend) == [1] * 4


def test_a_model_without_the_ability_draws_one_by_one() -> None:
    backend = ScriptedBackend(lambda request: f"Answer: {request.ticket}")
    assert sampled(backend).value == [str(ticket) for ticket in range(8)]
    assert {request.n for request in backend.requests} == {1}


def test_groups_are_no_larger_than_the_concurrency() -> None:
    backend = Several()
    sampled(backend, n=20, concurrency=6)
    assert sizes(backend) == [4] * 5


@given(st.integers(1, 70), st.integers(1, 64), st.integers(1, 64))
def test_what_is_refused_is_drawn_in_smaller_groups(n: int, concurrency: int, most: int) -> None:
    backend = Several(most=most)
    played = sampled(backend, n=n, concurrency=concurrency)
    assert played.value == [str(ticket) for ticket in range(n)]
    assert (played.solution.usage.calls, played.solution.failed_calls) == (n, 0)
    assert len(calls(played)) == sum(size <= most for size in sizes(backend))


def test_a_refusal_is_remembered() -> None:
    backend = Several(most=4)

    async def work(run: Run) -> None:
        await drawn(run, 16)
        before = len(backend.requests)
        await drawn(run, 16)
        assert [request.n for request in backend.requests[before:]] == [4] * 4

    play(backend, work)


@pytest.mark.parametrize("gives", [1, 5])
def test_what_does_not_come_is_drawn_one_by_one(gives: int) -> None:
    backend = Several(gives=gives)
    played = sampled(backend)
    assert played.value == [str(ticket) for ticket in range(8)]
    assert sizes(backend) == [8] + [1] * (8 - gives)
    assert played.solution.usage.calls == played.rig.account.spent.calls == 8


def test_what_is_drawn_later_begins_when_the_group_has_ended() -> None:
    backend = Several(gives=1, texts=lambda ticket: "so " * 108 + "Answer: 7")
    usage = sampled(backend, n=4).solution.usage
    assert (usage.calls, usage.completion_tokens) == (4, 4 * 110)
    assert (usage.critical_tokens, usage.critical_completion_tokens) == (222, 220)


def test_a_server_that_breaks_costs_no_draw() -> None:
    backend = Several(fails=lambda r: BackendUnavailable("oops") if r.n > 1 else None)
    played = sampled(backend)
    assert played.value == [str(ticket) for ticket in range(8)]
    assert sizes(backend) == [8] + [1] * 8
    assert (played.solution.usage.calls, played.solution.failed_calls) == (9, 0)
    assert played.rig.account.spent.calls == 9


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("key"),
        BackendTimeout("late"),
        ContextLengthExceeded("long"),
        InvalidResponse("odd"),
        RateLimited("busy"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_each_draw_would_meet_fails_all(error: BackendError) -> None:
    backend = Several(fails=lambda r: error if r.n > 1 else None)

    async def work(run: Run) -> None:
        with pytest.raises(type(error)):
            await drawn(run, 8)

    played = play(backend, work)
    assert sizes(backend) == [8]
    assert played.solution.failed_calls == 8
    assert played.solution.usage.calls == 1


def test_draws_that_make_no_sense_are_counted_and_left_out() -> None:
    played = sampled(Several(unreadable=frozenset({2, 5})))
    assert played.value == ["0", "1", "3", "4", "6", "7"]
    assert played.solution.failed_by_role == {"solve": 2}


def test_a_budget_without_room_for_all_draws_what_fits() -> None:
    backend = Several()
    played = sampled(backend, max_tokens=10, budget=Budget(total_tokens=30))
    assert set(sizes(backend)) == {1}
    singly = ScriptedBackend(lambda request: f"Answer: {request.ticket}", latency=1.0)
    alone = sampled(singly, max_tokens=10, budget=Budget(total_tokens=30))
    assert played.value == alone.value
    assert played.solution.status == alone.solution.status == "budget_exhausted"


def test_a_budget_that_ends_in_between_is_exhausted() -> None:
    strategy = {"use": "self_consistency", "stop": "never", "samples": 8}
    backend, budget = Several(latency=5.0), Budget(seconds=2.0)
    solution = virtual_run(lambda: solve("Q", strategy, model=backend, budget=budget))
    assert solution.status == "budget_exhausted"
    assert solution.exhausted == Exhausted(kind="seconds", spent=2.0, limit=2.0)
    assert solution.usage.cancelled_calls == 8


@given(st.floats(0.0, 3.0), st.integers(2, 9), st.integers(1, 9))
def test_whoever_leaves_early_leaves_nothing_behind(after: float, n: int, most: int) -> None:
    backend = Several(most=most)

    async def main() -> None:
        made = rig(backend, budget=Budget(total_tokens=10**6))
        with anyio.move_on_after(after):
            await drawn(made.run, n)
        assert made.account.promised == (0, 0, 0)
        assert (made.limited.in_flight, made.limited.waiting) == (0, 0)
        assert backend.active == 0
        assert len(anyio.get_running_tasks()) == 1

    virtual_run(main)


def test_a_group_takes_as_many_permits_as_it_has_draws() -> None:
    backend = Several()
    limited = Limited(backend, 4)
    message = {"role": "user", "content": "Q"}
    ends: list[tuple[int, float]] = []

    async def ask(n: int) -> None:
        request = Request.model_validate({"messages": [message], "n": n})
        await limited.generate(request, Meter())
        ends.append((n, anyio.current_time()))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for n in (3, 2, 1, 9, 4):
                tasks.start_soon(ask, n)
        assert (limited.in_flight, limited.waiting) == (0, 0)

    virtual_run(main)
    assert sorted(ends) == [(1, 1.0), (2, 2.0), (3, 1.0), (4, 4.0), (9, 3.0)]


def test_a_cache_finds_the_group_again_and_nothing_else(tmp_path: Any) -> None:
    backend = Several()
    provider = Given(backend=backend, cache=Cache(path=tmp_path / "calls.sqlite"))

    def solved(samples: int) -> Any:
        strategy = {"use": "self_consistency", "stop": "never", "samples": samples}
        return virtual_run(lambda: solve("Q", strategy, model=provider))

    first, again, more = solved(6), solved(6), solved(7)
    assert again.usage.cached_calls == 6
    assert again.usage.calls == 0
    assert [c.text for c in again.candidates] == [c.text for c in first.candidates]
    assert (more.usage.cached_calls, more.usage.calls) == (0, 7)
    assert sizes(backend) == [6, 7]


@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 100))
def test_groups_cover_the_tickets_and_begin_at_multiples(start: int, n: int, most: int) -> None:
    groups = Groups(Several(), most)
    parts = list(groups.cut(range(start, start + n)))
    assert [ticket for part in parts for ticket in part] == list(range(start, start + n))
    assert all(len(part) <= groups.most <= most for part in parts)
    assert all(later.start % groups.most == 0 for _, later in pairwise(parts))


def test_what_a_group_did_not_bring_waits_for_it_on_the_clock() -> None:
    backend = Several(gives=1)
    usage = sampled(backend, 4).solution.usage
    assert sizes(backend) == [4, 1, 1, 1]
    assert usage.critical_tokens == 2 * 3  # the request, and after it the slowest of the others
