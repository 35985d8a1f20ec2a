from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from tests.stopping.chance import is_near, is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.stopping.conformal import (
    Mondrian,
    Scores,
    coverage_law,
    effective_n,
    hierarchical_p,
    quantile_rank,
    uniform,
    weighted_p,
)
from tts.stopping.tickets import TicketedScores

SCORES = st.lists(st.integers(-5, 5).map(float), max_size=12)


@given(SCORES, st.integers(-6, 6).map(float))
def test_ranks_agree_with_counting(scores: list[float], score: float) -> None:
    rank = Scores(scores).rank(score)
    worse = sum(one >= score for one in scores)
    assert rank.p == Fraction(1 + worse, len(scores) + 1)
    assert rank.smoothed(0.0) <= rank.p
    assert rank.smoothed(1.0) == pytest.approx(float(rank.p))


@given(SCORES, st.integers(-6, 6).map(float), st.integers(1, 99))
def test_p_value_and_quantile_say_the_same(scores: list[float], score: float, percent: int) -> None:
    alpha, calibration = percent / 100, Scores(scores)
    assert calibration.rank(score).is_at_most(alpha) == (score > calibration.quantile(alpha))
    assert calibration.rank(score).is_at_most(alpha) == (
        calibration.rank(score).p <= Fraction(percent, 100)
    )


@pytest.mark.parametrize(("n", "threshold"), [(8, math.inf), (9, 9.0), (19, 18.0)])
def test_few_scores_bound_nothing(n: int, threshold: float) -> None:
    assert Scores(map(float, range(1, n + 1))).quantile(0.1) == threshold


@pytest.mark.parametrize(
    ("n", "alpha", "mean", "sure"),
    [
        (100, 0.1, 91, 95),
        (100, 0.4, 61, 67),
        (500, 0.1, 451, 460),
        (500, 0.4, 301, 315),
        (1000, 0.1, 901, 913),
        (1000, 0.4, 601, 621),
    ],
)
def test_ranks_for_the_average_and_for_this_calibration_set(
    n: int, alpha: float, mean: int, sure: int
) -> None:
    assert (quantile_rank(n, alpha), quantile_rank(n, alpha, delta=0.1)) == (mean, sure)


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (16, 0.4)])
def test_coverage_has_the_mean_and_spread_of_its_beta_law(n: int, alpha: float) -> None:
    # False alarm of this test: 1e-6. Uniform scores: the coverage is the threshold itself.
    rng = random.Random(5)
    coverages = [Scores(rng.random() for _ in range(n)).quantile(alpha) for _ in range(3000)]
    mean, deviation = coverage_law(n, alpha)
    assert is_near(coverages, mean, deviation)
    k = quantile_rank(n, alpha)
    assert stats.kstest(coverages, stats.beta(k, n + 1 - k).cdf).pvalue > 1e-6


def test_control_the_published_rank_covers_too_little() -> None:
    # #{calibration < s} / n >= tau, without the point itself: n = 50, tau = 0.9.
    rng, wrong, runs = random.Random(6), 0, 20_000
    for _ in range(runs):
        scores, score = [rng.random() for _ in range(50)], rng.random()
        wrong += sum(one < score for one in scores) >= 45
    assert is_surely_above(wrong, runs, 0.1)
    assert wrong / runs == pytest.approx(6 / 51, abs=0.01)


def rounded(rng: random.Random) -> float:
    return float(round(rng.gauss(0.0, 1.0)))


def tied_p_values(smooth: bool, runs: int = 6000) -> list[float]:
    rng, values = random.Random(8), []
    for run in range(runs):
        rank = Scores(rounded(rng) for _ in range(30)).rank(rounded(rng))
        values.append(rank.smoothed(uniform(1, run)) if smooth else float(rank.p))
    return values


def test_smoothed_p_values_are_uniform_whatever_the_ties() -> None:
    # False alarm of this test: 1e-6.
    assert stats.kstest(tied_p_values(smooth=True), "uniform").pvalue > 1e-6


def test_control_plain_p_values_of_tied_scores_are_not_uniform_but_valid() -> None:
    values = tied_p_values(smooth=False)
    assert stats.kstest(values, "uniform").pvalue < 1e-6
    assert may_be_at_most(sum(value <= 0.1 for value in values), len(values), 0.1)
    assert sum(value <= 0.1 for value in values) < 0.07 * len(values)


def test_the_uniform_of_a_name_is_uniform_and_independent_of_its_neighbour() -> None:
    values = [uniform(3, "sample", index) for index in range(4000)]
    assert stats.kstest(values, "uniform").pvalue > 1e-6
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.1


def drifting(bucket: int, rng: random.Random) -> float:
    return rng.gauss(0.5 * bucket, 1.0)


def rejected_by_bucket(pooled: bool, runs: int = 1500) -> list[int]:
    """How often the worst 40 % is met in each of three buckets that drift apart."""
    rng, rejected = random.Random(9), [0, 0, 0]
    for _ in range(runs):
        sets = {bucket: [drifting(bucket, rng) for _ in range(49)] for bucket in range(3)}
        if pooled:
            everything = [score for scores in sets.values() for score in scores]
            sets = dict.fromkeys(sets, everything)
        calibration = Mondrian(sets)
        for bucket in range(3):
            score = drifting(bucket, rng)
            rejected[bucket] += calibration.rank(score, bucket).is_at_most(0.4)
    return rejected


def test_every_bucket_keeps_its_own_rate() -> None:
    # Four standard errors of a rate of 0.40 over 1,500 runs are 0.051; another seed: 2e-4.
    rates = [count / 1500 for count in rejected_by_bucket(pooled=False)]
    assert rates == pytest.approx([0.4] * 3, abs=0.051)


@pytest.mark.long
def test_control_pooling_drifting_buckets_keeps_the_average_only() -> None:
    rates = [count / 1500 for count in rejected_by_bucket(pooled=True)]
    assert sum(rates) / 3 == pytest.approx(0.4, abs=0.03)
    assert rates[0] < 0.3 < 0.5 < rates[2]


def test_a_bucket_without_scores_rules_nothing_out() -> None:
    calibration = Mondrian({"long": [1.0] * 99, "short": [1.0] * 8})
    assert calibration.rank(100.0, "unknown").p == 1
    assert calibration.too_small(0.1) == ["short"]


def clustered(rng: random.Random, groups: int, size: int) -> list[list[float]]:
    """Scores with an intraclass correlation of 0.6."""
    means = [rng.gauss(0.0, math.sqrt(0.6)) for _ in range(groups)]
    return [[rng.gauss(mean, math.sqrt(0.4)) for _ in range(size)] for mean in means]


def test_hierarchical_p_values_of_a_new_question_are_valid() -> None:
    # False alarm of this test: 1e-6.
    rng, wrong = random.Random(10), 0
    for _ in range(600):
        *groups, new = clustered(rng, groups=20, size=8)
        wrong += hierarchical_p(new[0], groups) <= Fraction(1, 10)
    assert may_be_at_most(wrong, 600, 0.1)


def test_hierarchical_p_counts_groups_not_scores() -> None:
    assert hierarchical_p(9.0, [[1.0] * 100] * 4) == Fraction(1, 5)


def misses_too_much(cluster: bool, runs: int = 400) -> int:
    """Calibration sets whose threshold, sure at delta = 0.1, yet is exceeded by more than 40 %."""
    rng, wrong = random.Random(11), 0
    k = quantile_rank(160, 0.4, delta=0.1)
    for _ in range(runs):
        sets = clustered(rng, 20, 8) if cluster else clustered(rng, 160, 1)
        threshold = sorted(score for group in sets for score in group)[k - 1]
        wrong += stats.norm.sf(threshold) > 0.4
    return wrong


def test_a_sure_threshold_of_independent_scores_is_sure() -> None:
    assert may_be_at_most(misses_too_much(cluster=False), 400, 0.1)


def test_control_a_sure_threshold_of_pooled_clusters_is_not() -> None:
    assert is_surely_above(misses_too_much(cluster=True), 400, 0.1)


def test_effective_n_of_clusters_follows_the_design_effect() -> None:
    rng = random.Random(12)
    worth = effective_n(clustered(rng, groups=400, size=8))
    assert worth == pytest.approx(3200 / (1 + 7 * 0.6), rel=0.08)
    assert effective_n(clustered(rng, groups=400, size=1)) == 400.0


@given(st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=5), min_size=2, max_size=6))
def test_effective_n_is_at_most_n(groups: list[list[float]]) -> None:
    n = sum(map(len, groups))
    assert 0.0 < effective_n(groups) <= n + 1e-9


def shifted_misses(*, weighted: bool, runs: int = 1500) -> int:
    rng, wrong = random.Random(13), 0
    for _ in range(runs):
        inputs = [rng.gauss(0.0, 1.0) for _ in range(60)]
        new = rng.gauss(1.0, 1.0)  # dP_test / dP_calibration = exp(x - 1/2)
        weights = [math.exp(x - 0.5) if weighted else 1.0 for x in inputs]
        own = math.exp(new - 0.5) if weighted else 1.0
        scores = [x + rng.gauss(0.0, 0.5) for x in inputs]
        wrong += weighted_p(new + rng.gauss(0.0, 0.5), scores, weights, own) <= 0.1
    return wrong


def test_weights_repair_a_known_shift() -> None:
    # False alarm of this test: 1e-6.
    assert may_be_at_most(shifted_misses(weighted=True), 1500, 0.1)


def test_control_without_weights_the_shift_is_missed() -> None:
    assert is_surely_above(shifted_misses(weighted=False), 1500, 0.1)


@given(SCORES, st.integers(-6, 6).map(float))
def test_equal_weights_are_none(scores: list[float], score: float) -> None:
    weighted = weighted_p(score, scores, [1.0] * len(scores))
    assert weighted == pytest.approx(float(Scores(scores).rank(score).p))


def decisions(completion_order: list[int], lag: int = 4) -> list[int]:
    """Ranks of 40 tickets whose calls finish in a shuffled order."""
    rng = random.Random(14)
    scores = {ticket: float(rng.randrange(10)) for ticket in range(40)}
    calibration, ranks = TicketedScores(lag), dict[int, int]()
    for done in completion_order:
        calibration.resolve(done, None if done % 7 == 3 else scores[done])
        for ticket in range(40):
            if ticket not in ranks and calibration.is_ready(ticket):
                ranks[ticket] = calibration.rank(scores[ticket], ticket=ticket).above
    return [ranks[ticket] for ticket in range(40)]


@given(st.permutations(range(40)))
def test_ticketed_decisions_do_not_depend_on_who_finishes_first(order: list[int]) -> None:
    assert decisions(order) == decisions(list(range(40)))


def test_control_a_set_that_grows_in_order_of_completion_depends_on_it() -> None:
    rng, order = random.Random(15), list(range(40))
    scores = {ticket: float(rng.randrange(10)) for ticket in range(40)}

    def greedy(order: list[int]) -> dict[int, int]:
        seen: list[float] = []
        ranks = {}
        for done in order:
            ranks[done] = Scores(seen).rank(scores[done]).above
            seen.append(scores[done])
        return ranks

    shuffled = rng.sample(order, 40)
    assert greedy(order) != greedy(shuffled)


def test_a_ticket_is_not_compared_too_early_nor_resolved_twice() -> None:
    calibration = TicketedScores(lag=2)
    calibration.resolve(0, 1.0)
    assert calibration.rank(0.5, ticket=2).above == 1
    with pytest.raises(ConfigError, match="before those up to 1"):
        calibration.rank(0.5, ticket=3)
    with pytest.raises(ConfigError, match="resolved before"):
        calibration.resolve(0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Scores([math.nan]),
        lambda: Scores([1.0]).rank(math.nan),
        lambda: quantile_rank(5, 0.0),
        lambda: coverage_law(5, 0.1),
        lambda: weighted_p(1.0, [1.0], []),
        lambda: weighted_p(1.0, [], [], own=0.0),
        lambda: hierarchical_p(1.0, [[]]),
        lambda: effective_n([[1.0]]),
        lambda: TicketedScores(0),
    ],
)
def test_what_cannot_be_compared_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError):
        wrong()
