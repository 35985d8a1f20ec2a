from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError, NotCertifiable
from tts.stopping.p_values import binomial_p
from tts.stopping.risk import (
    certify,
    control_risk,
    fixed_sequence,
    holm,
    problems_needed,
    worst_ahead,
)


@given(st.lists(st.floats(0.0, 1.0), max_size=8), st.floats(0.01, 0.3))
def test_holm_agrees_with_adjusted_p_values(p_values: list[float], delta: float) -> None:
    adjusted: dict[int, float] = {}
    worst = 0.0
    for done, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        worst = max(worst, (len(p_values) - done) * p_values[at])
        adjusted[at] = worst
    clear = [at for at, p in adjusted.items() if abs(p - delta) > 1e-12]
    rejected = holm(p_values, delta)
    assert all((at in rejected) == (adjusted[at] <= delta) for at in clear)


@given(st.lists(st.floats(0.0, 1.0), max_size=8), st.floats(0.01, 0.3))
def test_a_fixed_sequence_ends_at_the_first_that_is_not_rejected(
    p_values: list[float], delta: float
) -> None:
    rejected = fixed_sequence(p_values, delta)
    assert rejected == list(range(len(rejected)))
    assert all(p_values[at] <= delta for at in rejected)
    assert len(rejected) == len(p_values) or p_values[len(rejected)] > delta


@pytest.mark.parametrize(
    ("level", "delta", "risk", "needed"),
    [(0.05, 0.1, 0.0, 45), (0.01, 0.1, 0.0, 230), (0.1, 0.05, 0.0, 29), (0.05, 0.1, 0.06, None)],
)
def test_problems_needed(level: float, delta: float, risk: float, needed: int | None) -> None:
    assert problems_needed(level, delta, risk) == needed


def test_problems_needed_are_enough_and_hardly_fewer_are() -> None:
    needed = problems_needed(0.05, 0.1, risk=0.03) or 0
    assert binomial_p(math.ceil(0.03 * needed), needed, 0.05) <= 0.1
    fewer = needed * 2 // 3
    assert binomial_p(math.ceil(0.03 * fewer), fewer, 0.05) > 0.1


# A rule whose risk first grows along the ladder, then falls, then grows: not monotone.
RISKS = [0.01, 0.04, 0.09, 0.16, 0.08, 0.2, 0.12]
LEVEL, DELTA = 0.1, 0.1


def losses(rng: random.Random, risks: list[float], n: int = 100) -> list[list[bool]]:
    return [[rng.random() < risk for _ in range(n)] for risk in risks]


def false_certificates(risks: list[float], pick: str, runs: int = 200) -> tuple[int, int]:
    """Runs in which a setting of too high a risk is chosen, and runs in which none is."""
    rng, wrong, none = random.Random(4), 0, 0
    for _ in range(runs):
        drawn = losses(rng, risks)
        if pick == "boldest with small p":
            p_values = [binomial_p(sum(row), len(row), LEVEL) for row in drawn]
            certified = [at for at, p in enumerate(p_values) if p <= DELTA]
        else:
            try:
                certified = list(certify(drawn, LEVEL, DELTA).certified)
            except NotCertifiable:
                certified = []
        wrong += any(risks[at] > LEVEL for at in certified)
        none += not certified
    return wrong, none


@pytest.mark.parametrize("risks", [RISKS, [0.101] * 12, [0.02, 0.101, 0.102, 0.103]])
def test_certificates_are_false_at_most_at_delta(risks: list[float]) -> None:
    # False alarm of this test: 1e-6.
    assert may_be_at_most(false_certificates(risks, "certify")[0], 200, DELTA)


def test_control_picking_without_correction_is_wrong_more_often() -> None:
    wrong, _ = false_certificates([0.101] * 12, "boldest with small p")
    assert is_surely_above(wrong, 200, DELTA)


def test_where_all_settings_are_bad_hardly_any_run_certifies() -> None:
    assert false_certificates([0.3] * 5, "certify")[1] == 200


def test_what_cannot_be_certified_says_what_could_be() -> None:
    with pytest.raises(NotCertifiable, match="even without a failure") as few:
        certify([[False] * 30], level=0.05, delta=0.1)
    assert few.value.level == pytest.approx(0.0739, abs=1e-3)
    assert few.value.needed == 45
    assert "30 problems cannot certify 0.05" in str(few.value)
    assert "about 45 problems" in str(few.value)


def test_a_rate_above_the_level_needs_no_number_of_problems() -> None:
    with pytest.raises(NotCertifiable, match="failed on 10 of 50") as bad:
        certify([[True] * 10 + [False] * 40], level=0.05, delta=0.1)
    assert bad.value.needed is None
    assert "would take" not in str(bad.value)


def test_a_certificate_shows_every_setting() -> None:
    found = certify([[False] * 100, [True] * 1 + [False] * 99, [True] * 9 + [False] * 91], 0.1, 0.1)
    assert found.certified == (0, 1)
    assert [count for count, _ in found.bounds] == [0, 1, 9]
    exact = [stats.beta.ppf(0.9, count + 1, 100 - count) for count in (0, 1, 9)]
    assert [bound for _, bound in found.bounds] == pytest.approx(exact)


def thresholds(rng: random.Random, n: int, *, monotone: bool) -> list[list[float]]:
    """Losses at 21 settings; the risk is 1 - setting / 20 if monotone."""
    rows = []
    for _ in range(n):
        if monotone:
            u = rng.random()
            rows.append([float(u < 1 - at / 20) for at in range(21)])
        else:  # at each setting a failure of its own, of chance 0.3; none at the last
            rows.append([float(rng.random() < 0.3) for _ in range(60)] + [0.0])
    return rows


def test_controlled_risk_is_alpha_at_most_and_not_much_less() -> None:
    # Five standard errors: another seed fails with chance 6e-7.
    rng, n, alpha = random.Random(5), 39, 0.2
    risks = [1 - control_risk(thresholds(rng, n, monotone=True), alpha) / 20 for _ in range(300)]
    mean = sum(risks) / 300
    deviation = math.sqrt(sum((risk - mean) ** 2 for risk in risks) / 299)
    assert mean <= alpha + 5 * deviation / math.sqrt(300)
    assert mean >= alpha - 2 / (n + 1) - 0.05


def naive(rows: list[list[float]], alpha: float) -> int:
    """The same rule without asking whether losses are monotone."""
    n = len(rows)
    means = [sum(row[at] for row in rows) / n for at in range(len(rows[0]))]
    return next(at for at, mean in enumerate(means) if (n * mean + 1) / (n + 1) <= alpha)


def test_control_losses_that_are_not_monotone_exceed_alpha() -> None:
    rng, alpha = random.Random(6), 0.2
    picked = [naive(thresholds(rng, 39, monotone=False), alpha) for _ in range(100)]
    mean = sum(0.3 if at < 60 else 0.0 for at in picked) / 100
    assert mean > alpha + 0.05
    with pytest.raises(ConfigError, match="monotone"):
        control_risk(thresholds(rng, 39, monotone=False), alpha)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=3, max_size=3), min_size=1))
def test_worst_ahead_is_monotone_and_no_smaller(rows: list[list[float]]) -> None:
    worst = worst_ahead(rows)
    assert all(list(row) == sorted(row, reverse=True) for row in worst)
    for before, after in zip(rows, worst, strict=True):
        assert all(a >= b for a, b in zip(after, before, strict=True))
    assert worst_ahead(worst) == worst


def test_risk_that_cannot_be_controlled_is_refused() -> None:
    with pytest.raises(NotCertifiable) as refused:
        control_risk([[0.0]] * 10, alpha=0.05)
    assert refused.value.needed == 19
    assert refused.value.level == pytest.approx(1 / 11)
    assert control_risk([[0.0]] * 19, alpha=0.05) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: problems_needed(0.0, 0.1),
        lambda: certify([], 0.1, 0.1),
        lambda: certify([[True], [True, False]], 0.1, 0.1),
        lambda: control_risk([], 0.1),
        lambda: control_risk([[2.0]], 0.1),
    ],
)
def test_what_makes_no_test_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError):
        wrong()
