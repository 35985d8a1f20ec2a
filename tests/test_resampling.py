from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.resampling import coverage_curve, interval, pass_at_k, vote_curve, winners

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(correct: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(correct)))
    subsets = list(combinations(correct, k))
    expected = sum(any(each) for each in subsets) / len(subsets)
    assert pass_at_k(sum(correct), len(correct), k) == pytest.approx(expected)


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_coverage_only_grows(correct: list[bool]) -> None:
    curve = coverage_curve(correct, range(1, len(correct) + 1))
    assert curve == sorted(curve)
    assert curve[-1] == any(correct)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=9))
def test_winners_are_those_of_counting(codes: list[int]) -> None:
    found = winners(np.array([codes]))[0].tolist()
    for end, winner in enumerate(found, 1):
        counts = Counter(code for code in codes[:end] if code >= 0)
        assert winner == (counts.most_common(1)[0][0] if counts else -1)


@given(ANSWERS)
def test_the_curve_of_a_vote_ends_in_the_whole_vote(answers: list[str | None]) -> None:
    shares, orders = vote_curve(answers, "1", np.random.default_rng(0))
    assert shares.shape == (len(answers),)
    assert sorted(orders[0].tolist()) == list(range(len(answers)))
    counts = Counter(answer for answer in answers if answer is not None)
    best = max(counts.values(), default=0)
    if counts["1"] < best or best == 0:
        assert shares[-1] == 0.0
    elif list(counts.values()).count(best) == 1:
        assert shares[-1] == 1.0


def test_interval_leaves_equal_shares_outside() -> None:
    assert interval(list(range(1001))) == pytest.approx((25.0, 975.0))
