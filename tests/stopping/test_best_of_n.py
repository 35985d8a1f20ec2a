from __future__ import annotations

import math
import random
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize  # type: ignore[import-untyped]

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.stopping.best_of_n import (
    distribution_free_reservation,
    exponential_reservation,
    known_reservation,
    percentile_reservation,
    worth_a_batch,
)

REWARDS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


@given(REWARDS, st.floats(0.001, 2.0))
def test_reservation_is_where_a_draw_gains_what_it_costs(rewards: list[float], cost: float) -> None:
    value = known_reservation(rewards, cost)
    gain = sum(max(0.0, reward - value) for reward in rewards) / len(rewards)
    assert gain == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize("cost", [0.02, 0.1, 0.4])
def test_percentiles_are_the_limit_of_many_rewards(cost: float) -> None:
    many = [(at + 0.5) / 4000 for at in range(4000)]
    assert percentile_reservation(cost) == pytest.approx(known_reservation(many, cost), abs=1e-3)


def exact_exponential(cost: float, least: float = 0.0, scale: float = 1.0) -> float:
    def gain(t: float) -> float:
        body = integrate.quad(
            lambda x: max(0.0, x - t) * math.exp(-(x - least) / scale) / scale, least, least + 60
        )
        return float(body[0]) - cost

    return float(optimize.brentq(gain, least - 10, least + 20))


def failures(law: str, runs: int = 200) -> int:
    """Runs in which the bound ever lies below the true value within 40 draws."""
    rng, wrong, cost = random.Random(3), 0, 0.1
    true = math.log(1 / cost)
    if law == "heavy":  # Pareto, shape 2, from 1: E[(V - t)+] = 1 / t
        true = 1 / cost
    for _ in range(runs):
        drawn = [rng.expovariate(1.0) if law != "heavy" else rng.paretovariate(2.0)]
        for _ in range(39):
            drawn.append(rng.expovariate(1.0) if law != "heavy" else rng.paretovariate(2.0))
            if exponential_reservation(drawn, cost, 0.1).value < true:
                wrong += 1
                break
    return wrong


def test_the_exponential_bound_holds_at_all_draws_at_once() -> None:
    # False alarm of this test: 1e-6.
    assert math.log(10) == pytest.approx(exact_exponential(0.1), abs=1e-4)
    assert may_be_at_most(failures("exponential"), 200, 0.1)


def test_control_heavy_tails_void_the_exponential_bound() -> None:
    assert is_surely_above(failures("heavy"), 200, 0.1)


def test_dear_draws_are_not_worth_the_least_reward() -> None:
    drawn = [0.1, 0.2, 0.15, 0.12, 0.3] * 20
    assert exponential_reservation(drawn, 5.0, 0.1).value < 0.0


def test_one_draw_bounds_nothing() -> None:
    bound = exponential_reservation([1.0], 0.1, 0.1)
    assert (bound.value, bound.vacuous) == (math.inf, True)


@given(REWARDS, st.floats(0.01, 0.4))
def test_the_distribution_free_bound_solves_its_equation(rewards: list[float], cost: float) -> None:
    bound = distribution_free_reservation(rewards, cost, 0.1, highest=1.0)
    n = len(rewards)
    band = math.sqrt(math.log(n * (n + 1) / 0.1) / (2 * n))
    edges = sorted({bound.value, 1.0, *(reward for reward in rewards if reward > bound.value)})
    area = sum(
        (high - low) * min(1.0, sum(reward > low for reward in rewards) / n + band)
        for low, high in pairwise(edges)
    )
    assert area == pytest.approx(cost, abs=1e-9)


def test_few_draws_say_nothing_without_an_assumption() -> None:
    rng = random.Random(4)
    few = distribution_free_reservation([rng.random() for _ in range(4)], 0.02, 0.1, highest=1.0)
    assert few.value == pytest.approx(1.0 - 0.02, abs=0.02)
    assert few.vacuous
    assert distribution_free_reservation([], 0.02, 0.1, highest=1.0).value == 0.98
    many = distribution_free_reservation([rng.random() for _ in range(900)], 0.02, 0.1, highest=1.0)
    assert not many.vacuous
    assert many.value == pytest.approx(percentile_reservation(0.02), abs=0.1)


@given(REWARDS, st.floats(0.0, 1.0), st.integers(1, 3), st.floats(0.01, 0.5))
def test_a_batch_is_judged_by_the_mean_of_its_best(
    rewards: list[float], best: float, size: int, cost: float
) -> None:
    pool = rewards[:5]
    gains = [max(0.0, max(batch) - best) for batch in product(pool, repeat=size)]
    gain = sum(gains) / len(gains)
    if abs(gain - size * cost) > 1e-9:
        assert worth_a_batch(pool, best, size, cost) == (gain > size * cost)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: known_reservation([], 0.1),
        lambda: known_reservation([1.0], 0.0),
        lambda: percentile_reservation(0.5),
        lambda: exponential_reservation([1.0], 0.1, 0.0),
        lambda: distribution_free_reservation([2.0], 0.1, 0.1, highest=1.0),
        lambda: worth_a_batch([1.0], 0.0, 0, 0.1),
    ],
)
def test_arguments_out_of_range_are_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError):
        wrong()
