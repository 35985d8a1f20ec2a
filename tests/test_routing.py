from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.graph.shapes import Shape, shapes
from tts.errors import ConfigError
from tts.graph import Features, features
from tts.graph.features import ancestors
from tts.routing import (
    TOPOLOGIES,
    Always,
    Learned,
    Measured,
    Outcome,
    Policy,
    Published,
    Topology,
    reroute,
    told,
)

GRAPHS = st.builds(
    lambda shape, gamma: features(shape.after, coupling=gamma), shapes(), st.floats(0, 1)
)


def shaped(tasks: int = 6, edges: int = 5, omega: int = 2, gamma: float = 0.5) -> Features:
    return Features(tasks=tasks, edges=edges, omega=omega, depth=3.0, gamma=gamma)


@pytest.mark.parametrize(
    ("shape", "topology"),
    [
        (shaped(edges=0, omega=6, gamma=0.0), "parallel"),
        (shaped(omega=1), "sequential"),
        (shaped(gamma=0.61), "hierarchical"),
        (shaped(tasks=5, gamma=0.61), "hybrid"),
        (shaped(omega=4, gamma=0.6), "parallel"),
        (shaped(omega=3, gamma=0.6), "hybrid"),
        (shaped(tasks=5, omega=4, gamma=0.61), "hybrid"),
    ],
)
def test_published_rule(shape: Features, topology: str) -> None:
    assert Published().choose(shape) == topology


@given(shape=GRAPHS, most=st.integers(0, 9))
def test_rerouting_ends_and_never_repeats(shape: Features, most: int) -> None:
    tried: list[Topology] = [Published().choose(shape)]
    while (following := reroute(Published(), shape, tried)) is not None:
        assert following not in tried
        tried.append(following)
    assert len(tried) <= len(TOPOLOGIES)


@given(shape=GRAPHS, topology=st.sampled_from(TOPOLOGIES))
def test_one_topology_for_all_is_never_rerouted(shape: Features, topology: Topology) -> None:
    policy = Always(topology=topology)
    assert policy.choose(shape) == topology
    assert reroute(policy, shape, [topology]) is None


@pytest.mark.parametrize("needs", [[[], []], [[], [0], [1]], [[], [], [0, 1]]])
def test_small_graphs_chains_and_those_without_edges_never_become_hierarchical(
    needs: list[list[int]],
) -> None:
    shape = features(needs)
    tried = [Published().choose(shape)]
    while (following := reroute(Published(), shape, tried)) is not None:
        tried.append(following)
    assert "hierarchical" not in tried


@given(shape=shapes(), topology=st.sampled_from(TOPOLOGIES))
def test_every_topology_tells_what_is_needed_and_nothing_of_what_is_to_come(
    shape: Shape, topology: Topology
) -> None:
    contexts = told(topology, shape.after)
    before = ancestors(shape.after)
    for at, context in enumerate(contexts):
        assert set(shape.after[at]) <= set(context) <= set(range(at))
        if topology in {"hybrid", "hierarchical"} and at < len(contexts) - 1:
            assert set(context) == before[at]
    assert contexts[-1] == tuple(range(len(contexts) - 1))


def outcomes(topology: Topology, right: int, wrong: int, tokens: float = 100.0) -> list[Outcome]:
    made = [*[1.0] * right, *[0.0] * wrong]
    return [
        Outcome(shape=shaped(), topology=topology, accuracy=each, total_tokens=tokens)
        for each in made
    ]


def learned(*rows: Outcome, **settings: Any) -> Learned:
    return Learned(measured=Measured(rows=rows), **settings)


def test_without_outcomes_the_other_policy_chooses() -> None:
    assert learned().choose(shaped()) == Published().choose(shaped()) == "hybrid"


def test_what_was_measured_to_be_better_is_chosen() -> None:
    policy = learned(*outcomes("hybrid", 10, 30), *outcomes("sequential", 30, 10))
    assert policy.choose(shaped()) == "sequential"
    assert policy.choose(shaped(tasks=30)) == "hybrid"  # another kind of graph


def test_little_support_and_small_gains_change_nothing() -> None:
    few = learned(*outcomes("hybrid", 0, 40), *outcomes("sequential", 29, 0))
    close = learned(*outcomes("hybrid", 20, 20), *outcomes("sequential", 22, 18))
    assert (few.choose(shaped()), close.choose(shaped())) == ("hybrid", "hybrid")


def test_the_price_of_tokens_counts() -> None:
    rows = [*outcomes("hybrid", 40, 0, tokens=2000.0), *outcomes("parallel", 39, 1, tokens=1000.0)]
    assert learned(*rows).choose(shaped()) == "hybrid"
    assert learned(*rows, price=0.2).choose(shaped()) == "parallel"


@given(
    rights=st.lists(st.integers(0, 40), min_size=4, max_size=4), shape=GRAPHS, price=st.floats(0, 1)
)
def test_a_learned_policy_never_prefers_what_measured_worse(
    rights: list[int], shape: Features, price: float
) -> None:
    rows = [
        row.model_copy(update={"shape": shape})
        for topology, right in zip(TOPOLOGIES, rights, strict=True)
        for row in outcomes(topology, right, 40 - right)
    ]
    chosen, usual = learned(*rows, price=price).choose(shape), Published().choose(shape)
    by_topology = dict(zip(TOPOLOGIES, rights, strict=True))
    assert by_topology[chosen] >= by_topology[usual]


def test_outcomes_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    path.write_text(Measured(rows=tuple(outcomes("hybrid", 1, 1))).model_dump_json())
    policy = Policy.parse({"use": "learned", "measured": str(path)})
    assert isinstance(policy, Learned)
    assert len(policy.measured.rows) == 2


@pytest.mark.parametrize("content", [None, "{}}", '{"rows": [1]}'])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "outcomes.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValidationError, match="outcomes"):
        Learned.model_validate({"measured": str(path)})
    with pytest.raises(ConfigError):
        Measured.load(path)
