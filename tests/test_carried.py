from __future__ import annotations

import gc
import math
import weakref
from collections import Counter
from typing import Any, ClassVar

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.carried import PATIENCE, Adds, Carried
from tts.errors import BackendTimeout, BudgetExceeded, ConfigError
from tts.layers import Account, Budget
from tts.stopping.turn_rates import TurnCounts
from tts.tasks import for_each
from tts.testing import virtual_run

SECONDS = st.lists(st.integers(0, 9), min_size=1, max_size=8)
EMPTY = Counter[int]()


def unlimited() -> Account:
    return Account(Budget(), 0.0)


async def seen(
    seconds: list[int], lag: int, before: list[int] | None = None, skipping: int = -1
) -> list[set[int]]:
    """Let problems begin in order and last so many seconds; return what each saw.

    Each works `before` seconds before it opens its share; one may open none.
    """
    carried, account = Carried(), unlimited()
    found: list[set[int]] = [set()] * len(seconds)

    async def last(at: int) -> None:
        number = carried.begin()
        await anyio.sleep(before[at] if before else 0)
        if at != skipping:
            how = {"number": number, "lag": lag}
            async with carried.join("k", EMPTY, **how, account=account) as share:
                found[at] = set(share.before)
                await anyio.sleep(seconds[at])
                share.own = Counter([share.ticket])
        carried.end(number)

    await for_each(last, range(len(seconds)))
    return found


@given(SECONDS, st.integers(1, 4))
def test_a_problem_sees_all_that_began_long_enough_before_it_and_no_other(
    seconds: list[int], lag: int
) -> None:
    wanted = [set(range(max(0, ticket - lag + 1))) for ticket in range(len(seconds))]
    assert virtual_run(lambda: seen(seconds, lag)) == wanted


@given(SECONDS, st.integers(1, 4), st.data())
def test_the_order_is_that_of_problems_not_of_their_shares(
    seconds: list[int], lag: int, data: st.DataObject
) -> None:
    size = len(seconds)
    before = data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
    skipping = data.draw(st.integers(-1, size - 1))
    wanted = [set(range(max(0, ticket - lag + 1))) - {skipping} for ticket in range(size)]
    if skipping >= 0:
        wanted[skipping] = set()
    assert virtual_run(lambda: seen(seconds, lag, before, skipping)) == wanted


def test_keys_share_nothing() -> None:
    async def main() -> None:
        carried = Carried()
        number = carried.begin()
        for key in ("a", "b"):
            async with carried.join(
                key, Counter[str](), number=number, lag=1, account=unlimited()
            ) as share:
                assert (share.ticket, share.before) == (0, Counter())
                share.own = Counter([key])

    virtual_run(main)


def test_a_wait_ends_with_the_budget_and_holds_up_nobody() -> None:
    async def main() -> Counter[str]:
        carried, mine = Carried(), unlimited()
        one, two, three = (carried.begin() for _ in range(3))
        empty = Counter[str]()
        async with carried.join("k", empty, number=one, lag=1, account=mine) as first:
            other = Account(Budget(seconds=5), anyio.current_time())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.watch)
                with pytest.raises(BudgetExceeded):
                    async with carried.join("k", empty, number=two, lag=1, account=other):
                        raise AssertionError("it began before the first had ended")
            first.own = Counter("x")
        async with carried.join("k", empty, number=three, lag=1, account=mine) as third:
            return third.before

    assert virtual_run(main) == Counter("x")


def test_an_account_that_has_ended_is_not_waited_with() -> None:
    async def main() -> None:
        carried, ended = Carried(), unlimited()
        ended.end("interrupt")
        with pytest.raises(BudgetExceeded):
            async with carried.join("k", EMPTY, number=carried.begin(), lag=1, account=ended):
                raise AssertionError("it began")

    virtual_run(main)


def test_the_wait_has_a_deadline_that_begins_anew_when_an_earlier_problem_hands_on() -> None:
    async def main() -> float:
        carried, account = Carried(), unlimited()
        numbers = [carried.begin() for _ in range(3)]

        async def last(at: int, seconds: float) -> None:
            how = {"number": numbers[at], "lag": 1}
            async with carried.join("k", EMPTY, **how, account=account):
                await anyio.sleep(seconds)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(last, 0, 0.9 * PATIENCE)
            tasks.start_soon(last, 1, math.inf)
            with pytest.raises(BackendTimeout, match=r"problem 1 holds up .* budget\.seconds"):
                await last(2, 0.0)
            tasks.cancel_scope.cancel()
        return anyio.current_time()

    assert virtual_run(main) == pytest.approx(1.9 * PATIENCE)


def test_a_share_that_cannot_be_added_is_its_own_problems_error() -> None:
    async def main() -> Counter[int]:
        carried, account = Carried(), unlimited()
        with pytest.raises(ConfigError, match="what problem 0 hands on cannot be added"):
            async with carried.join(
                "k", EMPTY, number=carried.begin(), lag=1, account=account
            ) as share:
                share.own = None  # type: ignore[assignment]  # the mistake
        carried.end(0)
        async with carried.join(
            "k", EMPTY, number=carried.begin(), lag=1, account=account
        ) as after:
            return after.before

    assert virtual_run(main) == Counter()


class Few(tuple[int, ...]):
    """Numbers that cannot be added once they are more than two."""

    __slots__ = ()

    def __add__(self, other: object) -> Few:
        both = Few((*self, *other))  # type: ignore[misc]  # of its kind
        if len(both) > 2:
            raise OverflowError("more than two")
        return both


def test_a_sum_that_fails_is_told_to_those_that_would_see_it() -> None:
    async def main() -> list[object]:
        carried, account = Carried(), unlimited()
        found: list[object] = []
        for at in range(5):
            number = carried.begin()
            try:
                async with carried.join("k", Few(), number=number, lag=1, account=account) as share:
                    found.append(share.before)
                    share.own = Few([at])
            except ConfigError as error:
                found.append(str(error).split(" cannot")[0])
            carried.end(number)
        return found

    told = "what problem 2 hands on"
    assert virtual_run(main) == [(), (0,), (0, 1), told, told]


def test_a_second_share_of_a_sum_is_refused_where_it_would_wait_for_itself() -> None:
    async def main() -> None:
        carried, account = Carried(), unlimited()
        how = {"number": carried.begin(), "lag": 1}
        async with carried.join("k", EMPTY, **how, account=account):
            with pytest.raises(ConfigError, match="a key of its own"):
                async with carried.join("k", EMPTY, **how, account=account):
                    raise AssertionError("it began")

    virtual_run(main)


class Counted(Counter[int]):
    """A sum that counts how many of its kind there are."""

    alive: ClassVar[set[int]] = set()

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        weakref.finalize(self, self.alive.discard, id(self))
        self.alive.add(id(self))

    def __add__(self, other: Adds) -> Counted:  # type: ignore[override]  # narrower
        return Counted(super().__add__(other))  # type: ignore[operator]  # of its kind


def test_sums_that_nobody_can_need_are_forgotten() -> None:
    async def main() -> int:
        carried, account = Carried(), unlimited()
        for _ in range(50):
            number = carried.begin()
            async with carried.join("k", Counted(), number=number, lag=3, account=account) as share:
                share.own = Counted([number])
            del share
            carried.end(number)
        gc.collect()
        return len(Counted.alive)

    assert virtual_run(main) <= 6


COUNTS = st.lists(st.integers(0, 9), max_size=5).map(
    lambda made: TurnCounts(decisions=tuple(made), takeovers=tuple(one // 2 for one in made))
)


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_order_and_are_kept_as_json(
    one: TurnCounts, two: TurnCounts, three: TurnCounts
) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + TurnCounts() == one
    assert TurnCounts.model_validate_json((one + two).model_dump_json()) == one + two
    both = (one + two).at(1)
    assert both == tuple(a + b for a, b in zip(one.at(1), two.at(1), strict=True))
