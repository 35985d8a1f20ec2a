from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.play import Rig, answering, drawn, noise, play, rig
from tts.backends import Backend, Capabilities, Meter, Price
from tts.errors import BackendTimeout, BackendUnavailable, BudgetExceeded
from tts.layers import Account, Budget, Layer, Spending
from tts.messages import Completion, Request, Sampling
from tts.run import Run
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

PRICE = Price(input=3.0, output=15.0)
MOST = 40


def within(account: Account) -> bool:
    """Whether all that is spent and promised fits the budget, but for rounded dollars."""
    left = account.remaining
    return left.tokens >= 0 and left.calls >= 0 and left.usd >= -1e-9


class Audit(Layer):
    """Looks at the account whenever a call starts or ends."""

    account: Account
    is_within = True

    async def generate(self, request: Request, meter: Meter) -> Completion:
        self.is_within = self.is_within and within(self.account)
        try:
            return await super().generate(request, meter)
        finally:
            self.is_within = self.is_within and within(self.account)


@dataclass(frozen=True)
class Scene:
    """Several samples at once on one account, and what may happen to them."""

    samples: tuple[tuple[int, int, int], ...]
    """Of each: candidates, how many are taken before the block is left, words of the prompt."""
    budget: Budget
    concurrency: int
    cancel_after: float
    salt: int

    def backend(self) -> Audit:
        """Return a model with random sizes, latencies and failures."""

        def script(request: Request) -> str:
            return "w " * self.die(request).randint(1, MOST)

        inner = ScriptedBackend(script, latency=noise(self.salt), price=PRICE)
        return Audit(FlakyBackend(inner, lambda request: self.die(request).random() < 0.2))

    def die(self, request: Request) -> Random:
        """Return a generator of the call's own."""
        return Random(f"{self.salt}|{request.span}|{request.ticket}")

    async def play(self, run: Run) -> None:
        """Draw all samples."""

        async def sample(plan: tuple[int, int, int]) -> None:
            n, taken, words = plan
            async with run.sample("w " * words, n) as samples:
                for _ in range(min(n, taken)):
                    await anext(samples, None)

        await run.map(sample, self.samples, failures="skip")

    async def main(self) -> tuple[Rig, bool]:
        """Play and return what is left, and whether the budget held at every moment."""
        backend = self.backend()
        sampling = Sampling(max_tokens=MOST)
        made = rig(backend, budget=self.budget, concurrency=self.concurrency, sampling=sampling)
        backend.account = made.account
        with anyio.move_on_after(self.cancel_after):
            await self.play(made.run)
        return made, backend.is_within


def maybe(limit: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), limit)


BUDGETS = st.builds(
    Budget,
    total_tokens=maybe(st.integers(1, 600)),
    calls=maybe(st.integers(1, 20)),
    usd=maybe(st.floats(1e-6, 5e-3)),
)
SCENES = st.builds(
    Scene,
    samples=st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(1, 20)), min_size=1, max_size=4
    ).map(tuple),
    budget=BUDGETS,
    concurrency=st.sampled_from([1, 3, 64]),
    cancel_after=st.one_of(st.just(math.inf), st.floats(0.0, 30.0)),
    salt=st.integers(0, 2**20),
)


@settings(max_examples=100)
@given(SCENES)
def test_spent_and_promised_never_exceed_the_budget(scene: Scene) -> None:
    made, was_within = virtual_run(scene.main)
    assert was_within
    assert within(made.account)


@given(SCENES)
def test_every_reservation_comes_back(scene: Scene) -> None:
    made, _ = virtual_run(scene.main)
    assert made.account.promised == Spending(0, 0, 0.0)
    assert made.limited.in_flight == 0
    calls = [record for record in made.records if record["event"] == "call"]
    assert made.account.spent.calls == len(calls)
    assert made.account.spent.tokens == sum(
        record["prompt_tokens"] + record["completion_tokens"] for record in calls
    )


@given(st.integers(1, 400), st.lists(st.integers(1, 30), min_size=1, max_size=9), st.data())
def test_which_draws_are_admitted_does_not_depend_on_latencies(
    tokens: int, sizes: list[int], data: st.DataObject
) -> None:
    def admitted(salt: int) -> tuple[set[int], list[str | None]]:
        backend = answering(["a " * size for size in sizes], latency=noise(salt))
        played = play(
            backend,
            lambda run: drawn(run, len(sizes)),
            budget=Budget(total_tokens=tokens),
            sampling=Sampling(max_tokens=40),
            concurrency=data.draw(st.integers(1, 9)),
        )
        return {request.ticket for request in backend.requests}, played.value

    assert admitted(data.draw(st.integers())) == admitted(data.draw(st.integers()))


def test_a_call_waits_for_what_others_may_return() -> None:
    backend = answering(["a"] * 4)
    budget = Budget(total_tokens=4 * 3 + 40)  # room for one worst case on top of what is used
    play(backend, lambda run: drawn(run, 4), budget=budget, sampling=Sampling(max_tokens=40))
    assert (len(backend.requests), backend.most_active) == (4, 1)


def test_a_call_that_others_cannot_make_room_for_is_refused_at_once() -> None:
    async def main() -> float:
        made = rig(answering(["a"]), budget=Budget(total_tokens=10))
        with pytest.raises(BudgetExceeded):
            await made.run.generate("Q", max_tokens=10)
        return anyio.current_time()

    assert virtual_run(main) == 0.0


def test_a_small_call_does_not_overtake_a_large_one() -> None:
    served: list[str] = []

    async def call(account: Account, name: str, tokens: int) -> None:
        await account.reserve(Spending(tokens, 1))
        served.append(name)
        await anyio.sleep(1.0)
        account.settle(Spending(tokens, 1), Spending(1, 1))

    async def main() -> None:
        account = Account(Budget(total_tokens=10), 0.0)
        async with anyio.create_task_group() as tasks:
            for name, tokens in (("first", 8), ("large", 9), ("small", 1)):
                tasks.start_soon(call, account, name, tokens)

    virtual_run(main)
    assert served == ["first", "large", "small"]


async def twice(run: Run) -> None:
    await run.generate("three little words", max_tokens=5)
    await run.generate("three little words", max_tokens=5)


@pytest.mark.parametrize(
    ("budget", "kind", "spent", "limit"),
    [
        (Budget(total_tokens=11), "tokens", 4, 11),
        (Budget(calls=1), "calls", 1, 1),
        (Budget(usd=100e-6), "usd", 24e-6, 100e-6),
    ],
)
def test_refusal_says_what_is_spent(budget: Budget, kind: str, spent: float, limit: float) -> None:
    backend = ScriptedBackend(lambda request: "one", price=PRICE)

    async def main() -> None:
        await twice(rig(backend, budget=budget).run)

    with pytest.raises(BudgetExceeded) as caught:
        virtual_run(main)
    assert (caught.value.kind, caught.value.limit) == (kind, limit)
    assert caught.value.spent == pytest.approx(spent)
    assert len(backend.requests) == 1


@pytest.mark.parametrize("budget", [Budget(total_tokens=12), Budget(calls=2), Budget(usd=108e-6)])
def test_a_budget_that_just_suffices_is_enough(budget: Budget) -> None:
    backend = ScriptedBackend(lambda request: "one", price=PRICE)
    assert play(backend, twice, budget=budget).solution.usage.calls == 2


@pytest.mark.parametrize(
    ("context", "given_text", "reserved"), [(None, None, 103), (50, None, 50), (None, "a b", 5)]
)
def test_reservation_is_the_worst_case(
    context: int | None, given_text: str | None, reserved: int
) -> None:
    promised: list[float] = []

    class Peek(Layer):
        account: Account

        async def generate(self, request: Request, meter: Meter) -> Completion:
            promised.append(self.account.promised.tokens)
            return await super().generate(request, meter)

    able = Capabilities(context=context, score=True)
    backend = Peek(ScriptedBackend(["text"], capabilities=able))

    async def main() -> None:
        made = rig(backend)
        backend.account = made.account
        await made.run.generate("three little words", max_tokens=100, given=given_text)

    virtual_run(main)
    assert promised == [reserved]


def test_a_call_that_never_left_costs_nothing() -> None:
    async def main() -> Account:
        made = rig(answering(["a", "b"], latency=5.0), concurrency=1)
        with anyio.move_on_after(1.0):
            await drawn(made.run, 2)
        return made.account

    assert virtual_run(main).spent == Spending(1, 1, 0.0)


@pytest.mark.parametrize("kind", ["interrupt", "seconds"])
def test_ending_a_budget_cancels_its_calls_and_keeps_what_was_found(kind: str) -> None:
    backend = answering(["a"] * 5, latency=lambda request: 1.0 + request.ticket)

    async def main() -> tuple[list[str | None], float]:
        made = rig(backend, concurrency=4)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_after, made.account, 2.5, kind)
            return await drawn(made.run, 5), anyio.current_time()
        raise AssertionError

    assert virtual_run(main) == (["a", "a"], 2.5)
    assert backend.active == 0


async def end_after(account: Account, seconds: float, kind: str) -> None:
    await anyio.sleep(seconds)
    account.end(kind)


class Careful(Layer):
    """After its call, does something that must not be interrupted."""

    has_cleaned_up = False

    async def generate(self, request: Request, meter: Meter) -> Completion:
        completion = await super().generate(request, meter)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10.0)
            self.has_cleaned_up = True
        await anyio.sleep(10.0)
        return completion


def test_ending_a_budget_waits_for_what_a_call_shields() -> None:
    backend = Careful(answering(["a"]))

    async def main() -> tuple[str, float]:
        made = rig(backend)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_after, made.account, 5.0, "interrupt")
            with pytest.raises(BudgetExceeded) as caught:
                await made.run.generate("Q")
        return caught.value.kind, anyio.current_time()

    assert virtual_run(main) == ("interrupt", 11.0)
    assert backend.has_cleaned_up


def test_a_strategy_goes_on_after_its_budget_was_ended() -> None:
    async def main() -> float:
        made = rig(answering(["a"], latency=9.0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_after, made.account, 5.0, "seconds")
            with pytest.raises(BudgetExceeded), anyio.fail_after(60.0):
                await made.run.generate("Q")
            await anyio.sleep(2.0)  # not cancelled: only the call was
        return anyio.current_time()

    assert virtual_run(main) == 7.0


def test_cancelling_a_caller_is_no_end_of_its_budget() -> None:
    async def main() -> tuple[bool, Account]:
        made = rig(answering(["a"], latency=9.0))
        with anyio.move_on_after(5.0) as scope:
            await made.run.generate("Q")
        return scope.cancelled_caught, made.account

    was_cancelled, account = virtual_run(main)
    assert was_cancelled
    assert (account.ended_by, account.promised) == (None, Spending())


@pytest.mark.parametrize("kind", ["interrupt", "seconds"])
def test_an_ended_budget_admits_nothing(kind: str) -> None:
    backend = answering(["a"])

    async def main() -> None:
        made = rig(backend)
        made.account.end(kind)
        await made.run.generate("Q")

    with pytest.raises(BudgetExceeded) as caught:
        virtual_run(main)
    assert (caught.value.kind, backend.requests) == (kind, [])


def test_ending_a_budget_stops_a_call_that_was_just_admitted() -> None:
    async def main() -> Account:
        account = Account(Budget(calls=1), 0.0)
        await account.reserve(Spending(0, 1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused, account)
            await anyio.lowlevel.checkpoint()
            account.settle(Spending(0, 1), Spending())
            account.end("interrupt")
        return account

    assert virtual_run(main).promised == Spending()


async def refused(account: Account) -> None:
    with pytest.raises(BudgetExceeded):
        await account.reserve(Spending(0, 1))


def test_seconds_end_a_budget_at_its_deadline() -> None:
    async def main() -> float:
        account = Account(Budget(seconds=7.0), anyio.current_time())
        await account.watch()
        assert account.ended_by == "seconds"
        return anyio.current_time()

    assert virtual_run(main) == 7.0


def test_a_slow_call_is_a_timeout() -> None:
    backend = answering(["a"], latency=2.0)

    async def main() -> Account:
        made = rig(backend)
        with pytest.raises(BackendTimeout, match="no answer in 1 s"):
            await made.run.generate("Q", timeout=1.0)
        assert anyio.current_time() == 1.0
        return made.account

    assert virtual_run(main).spent == Spending(1, 1, 0.0)
    assert backend.active == 0


def test_failing_calls_are_booked_with_what_they_used() -> None:
    backend: Backend = FlakyBackend(answering(["a"]), lambda request: True)

    async def main() -> Account:
        made = rig(backend)
        with pytest.raises(BackendUnavailable):
            await made.run.generate("Q")
        return made.account

    assert virtual_run(main).spent == Spending(0, 1, 0.0)
