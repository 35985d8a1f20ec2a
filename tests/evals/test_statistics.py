from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # it has no types

from tts.evals.statistics import bootstrap, detectable, holm, mcnemar, wilson


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    right, n = counts
    found, theirs = wilson(right, n), stats.binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_scipys_exact_binomial_test(better: int, worse: int) -> None:
    found = mcnemar(better, worse)
    if better + worse:
        assert found == pytest.approx(stats.binomtest(better, better + worse).pvalue, rel=1e-9)
    else:
        assert found == 1.0


def test_mcnemar_bears_counts_that_no_float_holds() -> None:
    assert 0.0 <= mcnemar(3000, 2000) < 1e-40


@given(st.lists(st.floats(0.0, 1.0), max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    for level in (0.05, 0.3):
        rejected = set()
        for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[at] * (len(p_values) - rank) > level:
                break
            rejected.add(at)
        assert {at for at, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_the_bootstrap_is_scipys_percentile_interval() -> None:
    rng = np.random.default_rng(5)
    values = rng.random(60)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9000, rng=rng
    ).confidence_interval
    found = bootstrap(values, resamples=9000)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=3e-3)


def test_repeats_of_a_problem_narrow_nothing_that_they_do_not_tell() -> None:
    values = np.random.default_rng(1).integers(0, 2, 80).astype(float)
    once = bootstrap(values)
    thrice = bootstrap(np.repeat(values, 3), np.repeat(np.arange(80), 3).tolist())
    as_if_independent = bootstrap(np.repeat(values, 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=0.02)
    assert as_if_independent.high - as_if_independent.low < 0.7 * (once.high - once.low)


def test_chunks_change_nothing_but_the_draws() -> None:
    values = np.random.default_rng(2).random(3000)
    found = bootstrap(values)  # more numbers than are resampled at once
    spread = 1.96 * values.std() / np.sqrt(3000)
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - spread, values.mean() + spread), abs=spread / 5
    )


def test_intervals_cover_as_often_as_they_say() -> None:
    rng, hits = np.random.default_rng(3), 0
    for at in range(300):
        problems = rng.beta(2, 2, 60)  # each with a chance of its own, and three repeats
        values = rng.random((60, 3)) < problems[:, None]
        found = bootstrap(
            values.ravel().astype(float),
            np.repeat(np.arange(60), 3).tolist(),
            seed=at,
            resamples=200,
        )
        hits += found.low <= 0.5 <= found.high
    assert 0.9 <= hits / 300 <= 0.98  # 95% by the book; the binomial's own spread is 1.3%


def test_what_is_detectable_is_detected_four_times_in_five() -> None:
    # 16% won and 6% lost: a true gain of .1, which 165 pairs detect by the formula.
    pairs = np.repeat([1.0, -1.0, 0.0], [26, 10, 129])
    assert detectable(pairs) == pytest.approx(0.1, abs=0.005)
    drawn = np.random.default_rng(4).choice([1.0, -1.0, 0.0], (2000, 165), p=[0.16, 0.06, 0.78])
    seen = np.abs(drawn.mean(1)) > 1.96 * drawn.std(1) / np.sqrt(165)
    assert 0.76 <= seen.mean() <= 0.86


def test_pairs_that_all_agree_promise_nothing() -> None:
    assert 0.05 < detectable([0.0] * 40) < 0.2
    assert detectable([0.0]) == 1.0
