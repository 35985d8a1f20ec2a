from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts.stopping import CONTINUE, Never
from tts.testing import candidate
from tts.votes import Tally

TALLIES = st.lists(st.sampled_from(["a", "b", None]), max_size=8).map(
    lambda answers: Tally.of(candidate(answer, ticket=at) for at, answer in enumerate(answers))
)


@given(TALLIES, st.integers(1, 100))
def test_never_goes_on(tally: Tally, remaining: int) -> None:
    assert Never().verdict(tally, remaining) == CONTINUE


@given(TALLIES, st.integers(1, 100))
def test_never_keeps_everything_in_flight(tally: Tally, remaining: int) -> None:
    assert Never().earliest(tally, remaining) == remaining
