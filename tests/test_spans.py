from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts.ledger import Clock, Ledger
from tts.spans import Span, seed_of

PLACES = st.tuples(
    st.integers(), st.lists(st.sampled_from(["run", "map0", "0"])).map("/".join), st.integers(0, 9)
)


@given(PLACES)
def test_seed_is_a_non_negative_int32(place: tuple[int, str, int]) -> None:
    assert 0 <= seed_of(*place) < 2**31


@given(st.sets(PLACES, min_size=2, max_size=2))
def test_seed_differs_between_places(places: set[tuple[int, str, int]]) -> None:
    assert len({seed_of(*place) for place in places}) == 2


def test_seed_is_the_same_for_ever() -> None:
    assert seed_of(0, "run/solve0/sample0", 0) == 1475611140
    assert seed_of(7, "run/solve0", 3) == 470351761


@given(st.lists(st.sampled_from(["map", "sample", "solve"])))
def test_no_two_forks_share_a_path(kinds: list[str]) -> None:
    span = Span("run", 0, Ledger())
    paths = [span.name_fork(kind) for kind in kinds]
    assert len(set(paths)) == len(paths)


def test_a_fork_starts_at_its_parents_time_and_leaves_it_alone() -> None:
    parent = Span("run", 0, Ledger())
    parent.join(Clock(5, 2))
    child = parent.fork("run/map0/0")
    child.join(Clock(9, 3))
    assert (parent.clock, child.clock, child.root) == (Clock(5, 2), Clock(9, 3), parent)


def test_joining_an_earlier_result_changes_nothing() -> None:
    span = Span("run", 0, Ledger())
    span.join(Clock(9, 3))
    span.join(Clock(5, 5))
    assert span.clock == Clock(9, 3)
