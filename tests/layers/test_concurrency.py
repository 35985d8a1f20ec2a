from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts.layers.concurrency import AdaptiveWindow, Window


def test_a_fixed_window_learns_nothing() -> None:
    window = Window(4)
    window.succeed(4)
    window.congest(0)
    assert (window.limit, window.epoch) == (4, 0)


@given(st.integers(1, 200), st.lists(st.booleans(), max_size=300))
def test_the_window_stays_between_one_and_the_most(most: int, answers: list[bool]) -> None:
    window = AdaptiveWindow(most)
    for answered in answers:
        if answered:
            window.succeed(window.limit)
        else:
            window.congest(window.epoch)
        assert 1 <= window.limit <= most


def test_it_doubles_in_a_round_trip_until_the_first_cut() -> None:
    window = AdaptiveWindow(1000)
    before = window.limit
    for _ in range(before):
        window.succeed(before)
    assert window.limit == 2 * before


def test_refusals_of_calls_that_flew_together_cut_once() -> None:
    window = AdaptiveWindow(1000)
    epoch, before = window.epoch, window.limit
    for _ in range(before):
        window.congest(epoch)
    assert window.limit == int(before * AdaptiveWindow.CUT)


def test_after_a_cut_a_windows_worth_of_answers_adds_one() -> None:
    window = AdaptiveWindow(1000)
    window.congest(0)
    before = window.limit
    for _ in range(before + 1):
        window.succeed(before)
    assert window.limit == before + 1


def test_a_window_that_is_not_used_does_not_grow() -> None:
    window = AdaptiveWindow(1000)
    for _ in range(100):
        window.succeed(1)
    assert window.limit == AdaptiveWindow.FIRST


@given(st.integers(2, 60))
def test_it_settles_near_what_a_provider_bears(bears: int) -> None:
    window = AdaptiveWindow(1000)
    sizes = []
    for _ in range(400):  # rounds in which the whole window is sent at once
        epoch, sent = window.epoch, window.limit
        for index in range(sent):
            if index < bears:
                window.succeed(sent)
            else:
                window.congest(epoch)
        sizes.append(sent)
    settled = sizes[100:]
    assert max(settled) <= bears + 2
    assert sum(settled) / len(settled) >= 0.6 * bears
