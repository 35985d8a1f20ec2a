"""The statistics against other libraries, which are heavy: `make oracle-test` runs this."""

from __future__ import annotations

import random

import numpy as np
import pytest
from adaptive_consistency import AC, BetaStoppingCriteria
from crepes.base import p_values_batch
from crepes.martingales import EpsilonBettingFunction, SimpleJumper
from hypothesis import given
from hypothesis import strategies as st
from its_hub import BetaSelfConsistency
from mapie.risk_control.methods import (
    compute_hoeffding_bentkus_p_value,
    find_best_predict_param,
    get_r_hat_plus,
)

from tts.stopping.beta import Beta
from tts.stopping.conformal import Mondrian, Scores
from tts.stopping.online import DriftMonitor
from tts.stopping.p_values import binomial_p, hoeffding_bentkus_p
from tts.stopping.replay import replay
from tts.stopping.risk import control_risk
from tts.stopping.votes import majority_posterior
from tts.testing import candidate

TIED = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)


@given(TIED, TIED)
def test_plain_p_values_are_those_of_crepes(scores: list[float], new: list[float]) -> None:
    theirs = p_values_batch(np.array(scores), np.array(new), smoothing=False)
    ours = [float(Scores(scores).rank(score).p) for score in new]
    assert ours == pytest.approx(list(theirs))


@given(TIED, TIED, st.integers(0, 99))
def test_smoothed_p_values_are_those_of_crepes(
    scores: list[float], new: list[float], seed: int
) -> None:
    theirs = p_values_batch(np.array(scores), np.array(new), smoothing=True, seed=seed)
    np.random.seed(seed)
    uniforms = np.random.rand(len(new))
    ranks = [Scores(scores).rank(score) for score in new]
    ours = [rank.smoothed(float(u)) for rank, u in zip(ranks, uniforms, strict=True)]
    assert ours == pytest.approx(list(theirs))


def test_p_values_by_bucket_are_those_of_crepes() -> None:
    rng = random.Random(1)
    scores, buckets = [rng.gauss(0, 1) for _ in range(90)], [rng.randrange(3) for _ in range(90)]
    new, places = [rng.gauss(0, 1) for _ in range(40)], [rng.randrange(3) for _ in range(40)]
    theirs = p_values_batch(
        np.array(scores), np.array(new), np.array(buckets), np.array(places), smoothing=False
    )
    ours = Mondrian(
        {b: [s for s, at in zip(scores, buckets, strict=True) if at == b] for b in range(3)}
    )
    found = [float(ours.rank(s, b).p) for s, b in zip(new, places, strict=True)]
    assert found == pytest.approx(list(theirs))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80))
def test_the_monitors_capital_is_that_of_crepes(p_values: list[float]) -> None:
    jumper = SimpleJumper(J=0.01, bf=EpsilonBettingFunction(E=[-1, 0, 1]))
    monitor = DriftMonitor()
    theirs = jumper.apply(np.array(p_values))
    for p, capital in zip(p_values, theirs, strict=True):
        monitor = monitor.observe(p)
        assert np.exp(monitor.log_capital) == pytest.approx(capital)


@given(st.integers(1, 500), st.floats(0.01, 0.9), st.data())
def test_p_values_of_a_risk_are_those_of_mapie(n: int, level: float, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, n))
    risk = np.array([failures / n])
    if n * risk[0] == failures:  # theirs takes the ceiling of a product that may be rounded up
        theirs = compute_hoeffding_bentkus_p_value(risk, n, level)[0, 0]
        assert hoeffding_bentkus_p(failures / n, n, level) == pytest.approx(min(1.0, theirs))
        exact = compute_hoeffding_bentkus_p_value(risk, n, level, binary=True)[0, 0]
        assert binomial_p(failures, n, level) >= exact - 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_controlled_settings_are_those_of_mapie(seed: int) -> None:
    rng = random.Random(seed)
    uniforms = [rng.random() for _ in range(57)]
    losses = [[float(u < 1 - at / 40) for at in range(41)] for u in uniforms]
    settings, alpha = np.arange(41), 0.1 + 0.02 * rng.randrange(20) + 0.0031  # no ties with alpha
    _, bounds = get_r_hat_plus(np.array(losses), settings, "crc", None, None, None)
    theirs = find_best_predict_param(settings, bounds, np.array([[alpha]]))
    assert control_risk(losses, alpha) == theirs[0]


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_posterior_is_that_of_its_hub(leader: int, runner_up: int) -> None:
    theirs = BetaSelfConsistency.beta_stopping_probability(leader, runner_up)
    assert majority_posterior(leader, runner_up) == pytest.approx(theirs)


VOTES = st.lists(st.sampled_from("aaab"), min_size=1, max_size=40)


@given(VOTES)
def test_the_posterior_is_that_of_adaptive_consistency(votes: list[str]) -> None:
    leader, runner_up = sorted((votes.count("a"), votes.count("b")), reverse=True)
    theirs = BetaStoppingCriteria().should_stop(votes)["prob"]  # by numerical integration
    assert majority_posterior(leader, runner_up) == pytest.approx(theirs, abs=1e-7)


@given(VOTES, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_rule_stops_where_adaptive_consistency_does(votes: list[str], level: float) -> None:
    # Its own loop calls a method that it lacks, so its criterion is asked vote by vote.
    theirs = AC(stop_criteria=BetaStoppingCriteria(level))
    first = next((n for n in range(1, len(votes)) if theirs.should_stop(votes[:n])), len(votes))
    drawn = [candidate(vote, ticket=ticket) for ticket, vote in enumerate(votes)]
    assert replay(Beta(confidence=level), drawn, len(votes)).samples == first
