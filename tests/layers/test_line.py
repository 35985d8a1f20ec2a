from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts.layers.line import Line, Waiter

SIZES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=60)


def line(*waiters: Waiter) -> Line:
    made = Line()
    for waiter in waiters:
        made.join(waiter)
    return made


def drained(made: Line) -> list[Waiter]:
    order = []
    while (waiter := made.admit(lambda _: True)) is not None:
        order.append(waiter)
    return order


def test_higher_priority_goes_first_and_equals_by_arrival() -> None:
    low, high, later = Waiter(0, 1), Waiter(3, 1), Waiter(3, 1)
    assert drained(line(low, high, later)) == [high, later, low]


@given(SIZES)
def test_one_priority_is_first_come_first_served(sizes: list[tuple[int, int]]) -> None:
    waiters = [Waiter(0, tokens) for _, tokens in sizes]
    assert drained(line(*waiters)) == waiters


@given(SIZES)
def test_everybody_goes_once_and_nobody_who_left(sizes: list[tuple[int, int]]) -> None:
    waiters = [Waiter(priority, tokens) for priority, tokens in sizes]
    made = line(*waiters)
    gone = waiters[::3]
    for waiter in [*gone, *gone]:
        made.leave(waiter)
    assert len(made) == len(waiters) - len(gone)
    admitted = drained(made)
    assert set(admitted) == set(waiters) - set(gone)
    assert len(admitted) == len(set(admitted))
    assert len(made) == 0


def test_a_steady_stream_of_high_priority_starves_nobody() -> None:
    low = Waiter(0, 1)
    made = line(low)
    for _ in range(Line.PATIENCE):
        made.join(Waiter(1, 1))
        assert made.admit(lambda _: True) is not low
    made.join(Waiter(1, 1))
    assert made.admit(lambda _: True) is low


def test_small_ones_pass_a_big_one_that_does_not_fit_but_not_for_ever() -> None:
    big = Waiter(0, 100)
    made = line(big)
    for _ in range(Line.PATIENCE):
        made.join(Waiter(0, 1))
        passing = made.admit(lambda waiter: waiter.tokens < 10)
        assert passing is not None
        assert passing is not big
    made.join(Waiter(0, 1))
    assert made.admit(lambda waiter: waiter.tokens < 10) is None
    assert made.first() is big
    assert made.admit(lambda waiter: True) is big


def test_those_far_behind_are_not_looked_at() -> None:
    made = line(*(Waiter(0, 100) for _ in range(Line.LOOK + 1)), Waiter(0, 1))
    assert made.admit(lambda waiter: waiter.tokens < 10) is None


def test_an_empty_line_has_no_first() -> None:
    made = line(Waiter(0, 1))
    assert drained(made)
    assert made.first() is None
    assert made.admit(lambda _: True) is None
