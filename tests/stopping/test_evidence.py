"""The vote's evidence: closed forms, oracles, and error rates at a tie."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special  # type: ignore[import-untyped]

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.stopping.votes import (
    draws_further,
    majority_posterior,
    mixture_e_value,
    smallest_leader,
    weighted_e_value,
)

COUNTS = st.integers(0, 60)


@given(COUNTS, COUNTS)
def test_posterior_agrees_with_scipys_beta(s: int, f: int) -> None:
    assert majority_posterior(s, f) == pytest.approx(1 - special.betainc(s + 1, f + 1, 0.5))


@pytest.mark.parametrize(
    ("s", "f", "value"),
    [(3, 0, 0.9375), (4, 0, 0.96875), (5, 1, 0.9375), (6, 1, 0.964844), (8, 2, 0.967285)],
)
def test_posterior_of_known_votes(s: int, f: int, value: float) -> None:
    assert majority_posterior(s, f) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("s", "f", "value"),
    [(5, 0, 10.5), (6, 0, 18.1429), (7, 0, 31.875), (10, 1, 30.9318), (12, 2, 23.9172)],
)
def test_e_value_of_known_votes(s: int, f: int, value: float) -> None:
    assert mixture_e_value(s, f) == pytest.approx(value, abs=1e-4)


@given(st.integers(0, 25), st.integers(0, 25))
def test_e_value_is_the_average_likelihood_ratio(s: int, f: int) -> None:
    def ratio(q: float) -> float:
        return float((2 * q) ** s * (2 * (1 - q)) ** f)

    average = 2 * integrate.quad(ratio, 0.5, 1.0, epsabs=0, epsrel=1e-10)[0]
    assert mixture_e_value(s, f) == pytest.approx(average, rel=1e-6)


@given(COUNTS, COUNTS, st.sampled_from([0.0, 0.5, 0.9]))
def test_e_value_is_a_fair_game_at_a_tie_and_a_losing_one_below(
    s: int, f: int, unanimous: float
) -> None:
    now = mixture_e_value(s, f, unanimous)
    up, down = mixture_e_value(s + 1, f, unanimous), mixture_e_value(s, f + 1, unanimous)
    assert (up + down) / 2 == pytest.approx(now)
    assert 0.3 * up + 0.7 * down <= now * (1 + 1e-12)


@given(COUNTS, COUNTS, st.sampled_from([0.0, 0.5]))
def test_e_value_grows_with_the_leader_and_falls_with_the_rival(
    s: int, f: int, unanimous: float
) -> None:
    assert mixture_e_value(s + 1, f, unanimous) >= mixture_e_value(s, f, unanimous)
    assert mixture_e_value(s, f + 1, unanimous) <= mixture_e_value(s, f, unanimous)


@pytest.mark.parametrize("unanimous", [0.0, 0.5])
def test_e_value_of_many_votes_continues_that_of_fewer(unanimous: float) -> None:
    for f in (0, 400, 480):
        few, many = (mixture_e_value(1000 - f + more, f, unanimous) for more in (0, 1))
        assert 1.0 < many / few <= 2.0 or many == math.inf
    assert mixture_e_value(2500, 2500, unanimous) < 1.0
    assert mixture_e_value(4000, 10, unanimous) == math.inf


@pytest.mark.parametrize(
    ("threshold", "smallest"),
    [
        (20, [7, 10, 12, 14, 16, 18, 20, 22, 24]),
        (10, [5, 8, 11, 13, 15, 17, 19, 20, 22]),
        (40, [8, 11, 14, 16, 18, 20, 22, 24, 26]),
    ],
)
def test_smallest_leader_that_is_certified(threshold: float, smallest: list[int]) -> None:
    found = [smallest_leader(lambda s, f: mixture_e_value(s, f) >= threshold, f) for f in range(9)]
    assert found == smallest


def test_smallest_leader_that_the_posterior_trusts() -> None:
    found = [smallest_leader(lambda s, f: majority_posterior(s, f) >= 0.95, f) for f in range(9)]
    assert found == [4, 6, 8, 9, 11, 12, 14, 15, 17]


def test_a_rule_that_never_stops_has_no_smallest_leader() -> None:
    with pytest.raises(ConfigError):
        smallest_leader(lambda s, f: False, 0, most=5)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.0, 0.5]))
def test_weighted_evidence_of_full_weights_is_that_of_counts(
    s: int, f: int, unanimous: float
) -> None:
    weighted = weighted_e_value([1.0] * s, [1.0] * f, unanimous)
    assert weighted == pytest.approx(mixture_e_value(s, f, unanimous), rel=0.05)


@given(
    st.lists(st.floats(0.0, 1.0), max_size=8),
    st.lists(st.floats(0.0, 1.0), max_size=8),
    st.floats(0.0, 1.0),
    st.sampled_from([0.0, 0.5]),
)
def test_weighted_evidence_is_a_fair_game_at_a_tie(
    own: list[float], rival: list[float], weight: float, unanimous: float
) -> None:
    now = weighted_e_value(own, rival, unanimous)
    up = weighted_e_value([*own, weight], rival, unanimous)
    down = weighted_e_value(own, [*rival, weight], unanimous)
    assert (up + down) / 2 == pytest.approx(now)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: mixture_e_value(-1, 0),
        lambda: mixture_e_value(1, 0, unanimous=1.0),
        lambda: majority_posterior(0, -1),
        lambda: weighted_e_value([2.0], []),
        lambda: weighted_e_value([1.0], [], unanimous=-0.1),
    ],
)
def test_counts_and_weights_out_of_range_are_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError):
        wrong()


@given(st.integers(1, 200), st.integers(0, 300))
def test_draws_further_is_the_least_number(remaining: int, needed: int) -> None:
    assert draws_further(lambda k: k >= needed, remaining) == min(max(needed, 1), remaining)


# Error rates. N = 1,000 looks at a tie, where whatever is certified is certified wrongly.

N, RUNS, DELTA = 1000, 4000, 0.05


@cache
def walks() -> np.ndarray:
    """Votes of the first of two equally likely answers after 1..N draws; shape (RUNS, N)."""
    draws = np.random.default_rng(7).integers(0, 2, size=(RUNS, N), dtype=np.int16)
    return np.asarray(np.cumsum(draws, axis=1, dtype=np.int16))


def boundary(stops) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Fewest votes that stop against f others, for f up to N / 2."""
    least, votes = [], 0
    for f in range(N // 2 + 1):
        while votes + f <= N and not stops(votes, f):
            votes += 1
        least.append(votes)
    return np.array(least)


def certified(stops, *, either: bool) -> int:  # type: ignore[no-untyped-def]
    """Runs that ever stop for the first answer (or for either)."""
    first = walks()
    other = np.arange(1, N + 1, dtype=np.int16) - first
    least = boundary(stops)

    def ever(own: np.ndarray, rival: np.ndarray) -> np.ndarray:
        return np.asarray(np.any(own >= least[np.minimum(rival, N // 2)], axis=1))

    hits = ever(first, other)
    return int(np.sum(hits | ever(other, first) if either else hits))


@pytest.mark.parametrize("unanimous", [0.0, 0.5])
def test_a_fixed_target_is_certified_at_a_tie_at_most_delta(unanimous: float) -> None:
    # False alarm of this test: 1e-6.
    wrong = certified(lambda s, f: mixture_e_value(s, f, unanimous) >= 1 / DELTA, either=False)
    assert may_be_at_most(wrong, RUNS, DELTA)


def test_whichever_leads_is_certified_at_a_tie_at_most_delta_if_charged_twice() -> None:
    wrong = certified(lambda s, f: mixture_e_value(s, f) >= 2 / DELTA, either=True)
    assert may_be_at_most(wrong, RUNS, DELTA)


def test_control_uncharged_the_leader_exceeds_delta() -> None:
    wrong = certified(lambda s, f: mixture_e_value(s, f) >= 1 / DELTA, either=True)
    assert is_surely_above(wrong, RUNS, DELTA)
    assert may_be_at_most(wrong, RUNS, 2 * DELTA)


def test_control_the_posterior_under_peeking_exceeds_its_level_many_times_over() -> None:
    wrong = certified(lambda s, f: majority_posterior(s, f) >= 1 - DELTA, either=True)
    assert wrong / RUNS == pytest.approx(0.73, abs=0.04)


def plug_in(s: int, f: int) -> float:
    """The likelihood ratio of the share fitted to all draws so far: no supermartingale."""
    if s <= f:
        return 1.0
    q = s / (s + f)
    return math.exp(s * math.log(2 * q) + (f * math.log(2 * (1 - q)) if f else 0.0))


def test_control_a_refitted_ratio_is_no_evidence() -> None:
    wrong = certified(lambda s, f: plug_in(s, f) >= 1 / DELTA, either=False)
    assert is_surely_above(wrong, RUNS, DELTA)
