"""Weights that are fixed beforehand, by age, against a law of scores that once changed."""

from __future__ import annotations

import random

import pytest

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.stopping.conformal import weighted_p

OLD, NEW, DECAY, ALPHA, RUNS = 180, 60, 0.95, 0.1, 1500


def misses(weights: list[float]) -> int:
    """Runs in which a score of the new law is ruled out at ALPHA."""
    rng, wrong = random.Random(17), 0
    for _ in range(RUNS):
        scores = [rng.gauss(0.0, 1.0) for _ in range(OLD)]
        scores += [rng.gauss(9.0, 1.0) for _ in range(NEW)]
        wrong += weighted_p(rng.gauss(9.0, 1.0), scores, weights) <= ALPHA
    return wrong


@pytest.mark.long
def test_recent_scores_weigh_more_and_the_miss_is_bounded_by_the_distance() -> None:
    # Barber et al. 2023: P(p <= alpha) <= alpha + sum of w_i d_i over the sum of weights, with d_i
    # the distance that swapping a score with the new one makes: 0 for those of the new law, and at
    # most 1 for the old. False alarm of this test: 1e-6.
    weights = [DECAY ** (OLD + NEW - at) for at in range(OLD + NEW)]
    bound = ALPHA + sum(weights[:OLD]) / (1.0 + sum(weights))
    assert bound < 0.16
    assert may_be_at_most(misses(weights), RUNS, bound)


@pytest.mark.long
def test_control_scores_of_all_ages_alike_exceed_that_bound() -> None:
    assert is_surely_above(misses([1.0] * (OLD + NEW)), RUNS, 0.16)
