from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.stopping.p_values import betting_p, binomial_p, hoeffding_bentkus_p


@pytest.mark.parametrize(
    ("failures", "n", "hb", "exact"),
    [(5, 100, 0.156510, 0.057577), (10, 200, 0.021940, 0.008071), (40, 500, 0.204114, 0.075089)],
)
def test_p_values_of_known_counts(failures: int, n: int, hb: float, exact: float) -> None:
    assert hoeffding_bentkus_p(failures / n, n, 0.1) == pytest.approx(hb, abs=1e-6)
    assert binomial_p(failures, n, 0.1) == pytest.approx(exact, abs=1e-6)


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.data())
def test_the_exact_p_value_is_never_the_weaker_one(
    n: int, level: float, data: st.DataObject
) -> None:
    failures = data.draw(st.integers(0, n))
    exact = binomial_p(failures, n, level)
    assert exact == pytest.approx(stats.binom.cdf(failures, n, level), abs=1e-9)
    assert hoeffding_bentkus_p(failures / n, n, level) >= exact - 1e-9


# The mean is just at the level, so that every rejection is a false one.
LEVEL, DELTA, RUNS, N = 0.1, 0.1, 400, 150


def capitals(losses: list[float], level: float, planned: int | None = None) -> np.ndarray:
    """K_0 .. K_n, written anew; `planned` losses are what the bets reckon with."""
    drawn = np.array(losses, float)
    at = np.arange(1, len(drawn) + 1)
    means = (0.5 + np.cumsum(drawn)) / (at + 1)
    variances = np.append(0.25, (0.25 + np.cumsum((drawn - means) ** 2)) / (at + 1))[:-1]
    bets = np.minimum(1.0, np.sqrt(2 * np.log(1 / DELTA) / ((planned or len(drawn)) * variances)))
    return np.cumprod(np.append(1.0, 1.0 - bets * (drawn - level)))


def bernoulli(rng: random.Random) -> float:
    return float(rng.random() < LEVEL)


def spread(rng: random.Random) -> float:
    return rng.betavariate(0.5, 4.5)


def rejections(p_value: Callable[[list[float]], float], draw: Callable[..., float]) -> int:
    rng = random.Random(11)
    runs = ([draw(rng) for _ in range(N)] for _ in range(RUNS))
    return sum(p_value(losses) <= DELTA for losses in runs)


@pytest.mark.parametrize("draw", [bernoulli, spread])
def test_bets_reject_what_is_true_at_most_at_delta(draw: Callable[..., float]) -> None:
    # False alarm of this test: 1e-6.
    assert may_be_at_most(rejections(lambda losses: betting_p(losses, LEVEL), draw), RUNS, DELTA)


def smallest_of_all_looks(losses: list[float]) -> float:
    """The exact p-value after each loss, the smallest taken: valid at one look, not at many."""
    sums = accumulate(map(int, losses))
    return min(binomial_p(failures, n, LEVEL) for n, failures in enumerate(sums, 1))


@pytest.mark.long
def test_control_looking_often_with_a_p_value_for_one_look_rejects_too_often() -> None:
    # Bets may be looked at after each loss; it is what `betting_p` does.
    assert is_surely_above(rejections(smallest_of_all_looks, bernoulli), RUNS, DELTA)


def the_best_of_each_half(losses: list[float]) -> float:
    """The largest capitals of the first half and of the second, multiplied.

    So does MAPIE 1.6, to save memory. Ville's inequality is about one maximum.
    """
    capital = capitals(losses, LEVEL)
    half = len(losses) // 2
    return float(1.0 / (capital[: half + 1].max() * capital[half:].max() / capital[half]))


def test_control_a_capital_that_starts_anew_after_its_maximum_rejects_too_often() -> None:
    assert is_surely_above(rejections(the_best_of_each_half, bernoulli), RUNS, DELTA)


def test_bets_are_sharper_where_losses_vary_little() -> None:
    losses = [0.04, 0.06] * 40
    assert betting_p(losses, LEVEL) < 0.1 * hoeffding_bentkus_p(0.05, 80, LEVEL)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.floats(0.02, 0.98))
def test_bets_are_p_values_of_any_losses(losses: list[float], level: float) -> None:
    assert 0.0 <= betting_p(losses, level) <= 1.0


@given(st.lists(st.sampled_from([0.0, 1.0]), max_size=20), st.floats(0.05, 0.9))
def test_the_capital_is_a_fair_game_at_the_level(before: list[float], level: float) -> None:
    # The next capital, averaged over a loss of that mean, is the present one: the bet does not
    # see what it is laid on.
    def capital(losses: list[float]) -> float:
        return float(capitals(losses, level, planned=21)[-1])

    mean = level * capital([*before, 1.0]) + (1.0 - level) * capital([*before, 0.0])
    assert mean == pytest.approx(capital(before))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(0.05, 0.9))
def test_the_p_value_is_one_over_the_largest_capital(losses: list[float], level: float) -> None:
    assert betting_p(losses, level, DELTA) == pytest.approx(1.0 / capitals(losses, level).max())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: binomial_p(1, 0, 0.1),
        lambda: hoeffding_bentkus_p(1.5, 10, 0.1),
        lambda: betting_p([], 0.1),
        lambda: betting_p([1.5], 0.1),
        lambda: betting_p([0.5], 0.1, delta=1.0),
    ],
)
def test_what_makes_no_p_value_is_refused(wrong: Callable[[], float]) -> None:
    with pytest.raises(ConfigError):
        wrong()
