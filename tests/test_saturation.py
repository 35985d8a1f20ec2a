from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special  # type: ignore[import-untyped]  # it has no types

from tts.errors import ConfigError
from tts.saturation import (
    FITS,
    BetaMixture,
    Curve,
    SingleRate,
    TwoState,
    fit_beta,
    fit_single,
    fit_two_state,
)

SIZES = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
SHARES = st.floats(0.05, 1.0)
RATES = st.floats(0.01, 0.95)


def brute(curve: Curve, epsilon: float, most: int = 5000) -> int:
    """The least N from which no further sample brings more than epsilon, by looking."""
    last = 0
    for samples in range(1, most):
        if curve.value(samples + 1) - curve.value(samples) > epsilon + 1e-12:
            last = samples
    return last + 1


@pytest.mark.parametrize(
    ("ceiling", "rate", "epsilon", "samples"),
    [(0.6, 0.5, 0.01, 5), (0.6, 0.3, 0.01, 9), (0.9, 0.1, 0.01, 21), (0.9, 0.1, 0.002, 37)],
)
def test_worked_examples(ceiling: float, rate: float, epsilon: float, samples: int) -> None:
    assert SingleRate(ceiling, rate).enough(epsilon) == samples


@given(SHARES, RATES, st.floats(0.001, 0.2))
def test_enough_agrees_with_brute_force(ceiling: float, rate: float, epsilon: float) -> None:
    curve = SingleRate(ceiling, rate)
    assert curve.enough(epsilon) == brute(curve, epsilon)


@given(st.floats(0.1, 5.0), st.floats(0.1, 5.0), st.floats(0.002, 0.2))
def test_enough_of_a_mixture_agrees_with_brute_force(a: float, b: float, epsilon: float) -> None:
    curve = BetaMixture(a, b)
    assert curve.enough(epsilon) == brute(curve, epsilon)


@given(SHARES, SHARES, st.floats(0.0, 0.98), st.floats(0.002, 0.2))
def test_enough_of_rounds_agrees_with_brute_force(
    ceiling: float, first: float, memory: float, epsilon: float
) -> None:
    curve = TwoState(ceiling, first, memory)
    assert curve.enough(epsilon) == brute(curve, epsilon)


@given(st.floats(0.1, 9.0), st.floats(0.1, 9.0), st.integers(1, 500))
def test_mixture_is_the_ratio_of_beta_functions(a: float, b: float, samples: int) -> None:
    missed = math.exp(special.betaln(a, b + samples) - special.betaln(a, b))
    assert BetaMixture(a, b).value(samples) == pytest.approx(1.0 - missed, abs=1e-9)


def test_mixture_against_simulation() -> None:
    rates = np.random.default_rng(0).beta(0.5, 1.0, 200_000)
    for samples in (1, 4, 32):
        simulated = 1.0 - ((1.0 - rates) ** samples).mean()  # false alarm below 1e-6
        assert BetaMixture(0.5, 1.0).value(samples) == pytest.approx(simulated, abs=0.006)


def test_rounds_against_their_chain() -> None:
    curve = TwoState(ceiling=0.7, first=0.4, memory=0.5)
    right = 0.4
    for samples in range(1, 9):
        assert curve.value(samples) == pytest.approx(right)
        right = right * (1 - curve.breaks) + (1 - right) * curve.repairs


@given(SHARES, st.floats(0.02, 0.9))
def test_single_fit_finds_its_own_curve(ceiling: float, rate: float) -> None:
    curve = SingleRate(ceiling, rate)
    fitted = fit_single(SIZES, np.array([curve.value(int(size)) for size in SIZES]))
    assert (fitted.ceiling, fitted.rate) == pytest.approx((ceiling, rate), abs=1e-4)


@given(st.floats(0.2, 4.0), st.floats(0.2, 4.0))
def test_beta_fit_finds_its_own_curve(a: float, b: float) -> None:
    curve = BetaMixture(a, b)
    values = np.array([curve.value(int(size)) for size in SIZES])
    fitted = fit_beta(SIZES, values)
    assert [fitted.value(int(size)) for size in SIZES] == pytest.approx(values, abs=1e-3)


@given(SHARES, SHARES, st.floats(0.1, 0.9))
def test_rounds_fit_finds_its_own_curve(ceiling: float, first: float, memory: float) -> None:
    rounds = np.arange(1.0, 9.0)
    curve = TwoState(ceiling, first, memory)
    values = np.array([curve.value(int(at)) for at in rounds])
    fitted = fit_two_state(rounds, values)
    assert [fitted.value(int(at)) for at in rounds] == pytest.approx(values, abs=1e-3)


def test_noise_moves_the_fit_little() -> None:
    rng, errors = np.random.default_rng(1), list[tuple[float, float]]()
    for _ in range(200):
        ceiling, rate = rng.uniform(0.3, 1.0), rng.uniform(0.05, 0.6)
        truth = SingleRate(ceiling, rate)
        values = np.array([truth.value(int(size)) for size in SIZES])
        noisy = np.clip(values + rng.normal(0, 0.01, len(SIZES)), 0, 1)
        fitted = fit_single(SIZES, noisy)
        errors.append((abs(fitted.rate - rate), abs(fitted.ceiling - ceiling)))
    rates, ceilings = np.median(np.array(errors), axis=0)
    assert rates < 0.012
    assert ceilings < 0.008


def test_one_rate_underestimates_where_problems_differ_and_a_mixture_does_not() -> None:
    truth = BetaMixture(0.5, 1.0)
    values = np.array([truth.value(int(size)) for size in SIZES])
    assert fit_single(SIZES, values).value(256) == pytest.approx(0.78, abs=0.01)
    assert fit_beta(SIZES, values).value(256) == pytest.approx(truth.value(256), abs=0.005)
    assert [truth.value(n) for n in (64, 256)] == pytest.approx([0.89, 0.945], abs=0.001)


@given(st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6), st.sampled_from(sorted(FITS)))
def test_whatever_was_measured_has_a_fit_in_range(values: list[float], mode: str) -> None:
    curve = FITS[mode](SIZES, np.array(values))
    assert all(-1e-9 <= curve.value(samples) <= 1 + 1e-9 for samples in (1, 2, 7, 100))
    assert curve.enough(0.01) >= 1
    assert all(math.isfinite(each) for each in curve.settings().values())


def test_weights_say_whom_to_trust() -> None:
    truth = SingleRate(0.8, 0.3)
    values = np.array([truth.value(int(size)) for size in SIZES])
    values[0] = 0.9
    trusted = np.array([1e-6, 1, 1, 1, 1, 1])
    assert fit_single(SIZES, values, trusted).rate == pytest.approx(0.3, abs=0.01)
    assert abs(fit_single(SIZES, values).rate - 0.3) > 0.1


@pytest.mark.parametrize("mode", sorted(FITS))
@pytest.mark.parametrize(
    ("sizes", "values"), [([1.0, 1.0, 1.0], [0.1, 0.2, 0.3]), ([0.0, 1, 2], [0.1, 0.2, 0.3]),
                          ([1.0, 2, 4], [0.1, 0.2, 1.3])],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(
    mode: str, sizes: list[float], values: list[float]
) -> None:
    with pytest.raises(ConfigError, match="a fit needs"):
        FITS[mode](np.array(sizes), np.array(values))
