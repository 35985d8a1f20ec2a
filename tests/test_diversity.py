from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import Candidate
from tts.diversity import coverage_gap, distinct_answers, effective_samples
from tts.testing import candidate

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), max_size=9)


def drawn(answers: list[str | None]) -> list[Candidate]:
    return [candidate(answer, ticket=ticket) for ticket, answer in enumerate(answers)]


@given(ANSWERS)
def test_effective_samples_follow_the_pairs(answers: list[str | None]) -> None:
    voted = [answer for answer in answers if answer is not None]
    pairs = list(combinations(voted, 2))
    distinct = len(set(voted))
    effective = effective_samples(drawn(answers))
    if not pairs:
        assert effective == len(voted)
    elif distinct == 1:
        assert effective == 1
    else:
        agree = sum(one == other for one, other in pairs) / len(pairs)
        rho = max(0.0, (agree - 1 / distinct) / (1 - 1 / distinct))
        assert effective == pytest.approx(len(voted) / (1 + (len(voted) - 1) * rho))


@given(ANSWERS)
def test_order_does_not_matter(answers: list[str | None]) -> None:
    turned = answers[::-1]
    assert effective_samples(drawn(answers)) == effective_samples(drawn(turned))
    assert distinct_answers(drawn(answers)) == distinct_answers(drawn(turned))


def test_distinct_answers_count_abstentions_as_drawn() -> None:
    assert distinct_answers(drawn(["1", "1.0", "2", None])) == 0.5
    assert distinct_answers([]) == 0.0


def test_coverage_gap_is_what_the_vote_lost() -> None:
    lost, won, missed = drawn(["1", "1", "2"]), drawn(["2", "2", "1"]), drawn(["3"])
    assert coverage_gap([(lost, "2.0"), (won, "2"), (missed, "2")]) == pytest.approx(1 / 3)
    assert coverage_gap([]) == 0.0
