"""Shapes of graphs against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.shapes import Shape, shapes
from tts.errors import ConfigError
from tts.graph import antichain, features
from tts.graph.features import ancestors

DIAMOND = [[], [0], [0], [1, 2]]


def widest(needs: Sequence[Sequence[int]]) -> int:
    """Return the size of the largest antichain: of all sets of tasks, tried one by one."""
    before = ancestors(needs)

    def is_antichain(tasks: tuple[int, ...]) -> bool:
        return not any(a in before[b] or b in before[a] for a, b in combinations(tasks, 2))

    sizes = range(len(needs), 0, -1)
    return next((n for n in sizes if any(map(is_antichain, combinations(range(len(needs)), n)))), 0)


def longest(needs: Sequence[Sequence[int]], weights: Sequence[float], end: int) -> float:
    """Return the heaviest chain that ends in a task: all of them, by recursion."""
    before = (longest(needs, weights, need) for need in needs[end])
    return weights[end] + max(before, default=0.0)


@given(shape=shapes(most=9))
def test_width_is_that_of_the_largest_antichain(shape: Shape) -> None:
    assert antichain(shape.after) == widest(shape.after)


@given(shape=shapes())
def test_the_widest_layer_is_never_more_than_the_width(shape: Shape) -> None:
    assert features(shape.after, most_exact=0).omega <= features(shape.after).omega


def test_the_widest_layer_may_be_less_than_the_width() -> None:
    needs = [[], [], [0], [0], [2]]
    assert (features(needs, most_exact=0).omega, features(needs).omega) == (2, 3)


@given(shape=shapes(most=8))
def test_depth_is_the_heaviest_chain(shape: Shape) -> None:
    weights = [float(each) for each in shape.durations]
    chains = [longest(shape.after, weights, end) for end in range(len(weights))]
    assert features(shape.after, weights=weights).depth == pytest.approx(max(chains))


@given(shape=shapes(), order=st.randoms(use_true_random=False))
def test_shape_does_not_depend_on_the_order_of_the_tasks(shape: Shape, order: Random) -> None:
    places = list(range(len(shape.after)))
    order.shuffle(places)
    moved: list[list[int]] = [[] for _ in places]
    for task, needs in enumerate(shape.after):
        moved[places[task]] = [places[need] for need in needs]
    assert features(moved) == features(shape.after)


@given(shape=shapes())
def test_work_is_at_most_width_times_longest_chain(shape: Shape) -> None:
    """The paper has this inequality the wrong way round."""
    found = features(shape.after)
    assert found.tasks <= found.omega * found.depth


def test_coupling_is_the_mean_over_edges_and_0_without() -> None:
    assert features([[], []]).gamma == 0.0
    assert features(DIAMOND).gamma == 0.5
    assert features(DIAMOND, {(1, 0): 1.0, (2, 0): 1.0}).gamma == pytest.approx(0.75)


def test_no_tasks_have_no_shape() -> None:
    assert features([]).model_dump() == {
        "tasks": 0, "edges": 0, "omega": 0, "depth": 0.0, "gamma": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("needs", [[[0]], [[1], [0]], [[], [2], [1]]])
def test_circles_are_refused(needs: list[list[int]]) -> None:
    with pytest.raises(ConfigError, match="circle"):
        features(needs)


def test_a_need_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are 1 tasks"):
        antichain([[3]])


def test_large_graphs_take_linear_time_and_no_recursion() -> None:
    chain: list[list[int]] = [[], *([at] for at in range(20_000))]
    assert features(chain).depth == 20_001
