from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from tts.errors import ConfigError
from tts.stopping.binomial import at_most, bisect, erlang_cdf, most_failures, upper_bound


@given(st.integers(0, 3000), st.integers(-3, 3005), st.floats(0.0, 1.0))
def test_binomial_law_agrees_with_scipy(n: int, k: int, p: float) -> None:
    assert at_most(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(("k", "n", "p"), [(0, 500, 0.05), (3, 800, 0.02), (0, 2000, 0.01)])
def test_small_tails_keep_their_digits(k: int, n: int, p: float) -> None:
    assert at_most(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-9)


@given(st.integers(1, 400), st.data(), st.floats(1e-4, 0.5))
def test_upper_bound_is_the_beta_quantile(n: int, data: st.DataObject, delta: float) -> None:
    failures = data.draw(st.integers(0, n - 1))
    exact = stats.beta.ppf(1 - delta, failures + 1, n - failures)
    assert upper_bound(failures, n, delta) == pytest.approx(exact, rel=1e-6)


def test_upper_bound_of_nothing_but_failures_is_one() -> None:
    assert upper_bound(7, 7, 0.1) == 1.0


@pytest.mark.parametrize(
    ("level", "n", "strict", "loose"),
    [
        (0.1, 50, 1, 1),
        (0.1, 100, 4, 5),
        (0.1, 200, 12, 14),
        (0.1, 500, 38, 40),
        (0.05, 50, None, 0),
        (0.05, 100, 1, 1),
        (0.05, 200, 4, 5),
        (0.05, 500, 16, 18),
    ],
)
def test_most_failures_at_delta_five_and_ten_percent(
    level: float, n: int, strict: int | None, loose: int | None
) -> None:
    assert (most_failures(n, level, 0.05), most_failures(n, level, 0.1)) == (strict, loose)


@given(st.integers(1, 300), st.floats(0.0, 400.0))
def test_erlang_law_agrees_with_scipy(shape: int, x: float) -> None:
    assert erlang_cdf(x, shape) == pytest.approx(stats.gamma.cdf(x, shape), rel=1e-8, abs=1e-9)


def test_bisect_ends_at_neighbouring_floats() -> None:
    edge = bisect(lambda x: x < math.pi, 0.0, 10.0)
    assert (edge >= math.pi, math.nextafter(edge, 0.0) < math.pi) == (True, True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: at_most(1, -1, 0.5),
        lambda: at_most(1, 2, 1.5),
        lambda: upper_bound(3, 2, 0.1),
        lambda: upper_bound(1, 2, 0.0),
        lambda: erlang_cdf(-1.0, 1),
    ],
)
def test_what_is_no_law_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError):
        wrong()
