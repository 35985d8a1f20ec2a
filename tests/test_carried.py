from __future__ import annotations

from collections import Counter

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.carried import Carried
from tts.errors import BudgetExceeded
from tts.layers import Account, Budget
from tts.stopping.turn_rates import TurnCounts
from tts.tasks import for_each
from tts.testing import virtual_run

SECONDS = st.lists(st.integers(0, 9), min_size=1, max_size=8)


async def seen(seconds: list[int], lag: int) -> list[set[int]]:
    """Let problems begin in order and last so many seconds; return what each saw."""
    carried, account = Carried(), Account(Budget(), 0.0)
    found: list[set[int]] = [set()] * len(seconds)

    async def last(number: int) -> None:
        async with carried.join("k", Counter[int](), lag=lag, account=account) as share:
            found[share.ticket] = set(share.before)
            await anyio.sleep(seconds[share.ticket])
            share.own = Counter([share.ticket])

    await for_each(last, range(len(seconds)))
    return found


@given(SECONDS, st.integers(1, 4))
def test_a_problem_sees_all_that_began_long_enough_before_it_and_no_other(
    seconds: list[int], lag: int
) -> None:
    wanted = [set(range(max(0, ticket - lag + 1))) for ticket in range(len(seconds))]
    assert virtual_run(lambda: seen(seconds, lag)) == wanted


def test_keys_share_nothing() -> None:
    async def main() -> None:
        carried, account = Carried(), Account(Budget(), 0.0)
        for key in ("a", "b"):
            async with carried.join(key, Counter[str](), lag=1, account=account) as share:
                assert (share.ticket, share.before) == (0, Counter())
                share.own = Counter([key])

    virtual_run(main)


def test_a_wait_ends_with_the_budget_and_holds_up_nobody() -> None:
    async def main() -> Counter[str]:
        carried, mine = Carried(), Account(Budget(), 0.0)
        empty = Counter[str]()
        async with carried.join("k", empty, lag=1, account=mine) as first:
            other = Account(Budget(seconds=5), anyio.current_time())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.watch)
                with pytest.raises(BudgetExceeded):
                    async with carried.join("k", empty, lag=1, account=other):
                        raise AssertionError("it began before the first had ended")
            first.own = Counter("x")
        async with carried.join("k", empty, lag=1, account=mine) as third:
            return third.before

    assert virtual_run(main) == Counter("x")


def test_an_account_that_has_ended_is_not_waited_with() -> None:
    async def main() -> None:
        carried, ended = Carried(), Account(Budget(), 0.0)
        ended.end("interrupt")
        with pytest.raises(BudgetExceeded):
            async with carried.join("k", Counter[str](), lag=1, account=ended):
                raise AssertionError("it began")

    virtual_run(main)


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
