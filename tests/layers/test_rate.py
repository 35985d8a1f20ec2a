from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends import Limits, RateInfo
from tts.layers.rate import Allowance, Bucket, Quota

AMOUNTS = st.lists(st.floats(0.1, 500.0), min_size=1, max_size=40)


@given(st.floats(1.0, 1e5), st.floats(0.01, 1.0), AMOUNTS)
def test_no_stretch_of_time_lets_more_through_than_its_share(
    per_minute: float, part: float, amounts: list[float]
) -> None:
    size = max(1.0, per_minute * part)
    bucket, now = Bucket(per_minute, size), 0.0
    taken: list[tuple[float, float]] = []
    for amount in amounts:
        now += bucket.wait(amount, now)
        bucket.take(amount, now)
        taken.append((now, amount))
    for first, (start, _) in enumerate(taken):
        total = 0.0
        for end, amount in taken[first:]:
            # An amount larger than the bucket leaves a debt, which is paid before the next.
            assert total <= size + (end - start) * bucket.rate + 1e-6 * (1 + total)
            total += amount


@given(st.floats(1.0, 1e5), st.floats(0.01, 1.0), AMOUNTS)
def test_after_the_wait_an_amount_may_be_taken(
    per_minute: float, part: float, amounts: list[float]
) -> None:
    bucket, now = Bucket(per_minute, max(1.0, per_minute * part)), 0.0
    for amount in amounts:
        now += bucket.wait(amount, now)
        assert bucket.wait(amount, now) <= 1e-6
        bucket.take(amount, now)


def test_a_bucket_starts_with_part_of_a_minute() -> None:
    quota, sent = Quota(Limits(rpm=600)), 0
    while quota.wait(0, 0.0) == 0.0:
        quota.take(0, 0.0)
        sent += 1
    assert sent == 60


def test_requests_and_tokens_are_taken_together() -> None:
    quota = Quota(Limits(rpm=60, tpm=6000))
    quota.take(500, 0.0)
    assert quota.requests is not None
    assert quota.tokens is not None
    assert (quota.requests.level, quota.tokens.level) == (5, 100)
    assert quota.wait(200, 0.0) == pytest.approx(1.0)  # 100 tokens a second
    quota.settle(500, 300)
    assert quota.wait(200, 0.0) == 0.0
    quota.cancel(300)
    assert (quota.requests.level, quota.tokens.level) == (6, 600)


def test_a_small_quota_still_lets_one_call_go_at_once() -> None:
    quota = Quota(Limits(rpm=2, tpm=100))
    assert quota.wait(5000, 0.0) == 0.0
    quota.take(5000, 0.0)
    assert quota.wait(1, 0.0) == pytest.approx(60 * 4991 / 100)


def test_a_provider_that_says_less_is_left_is_believed() -> None:
    quota = Quota(Limits(rpm=600, tpm=60_000))
    quota.take(0, 0.0)
    quota.heed(RateInfo(requests=2, tokens=10_000))
    assert quota.requests is not None
    assert quota.tokens is not None
    assert (quota.requests.level, quota.tokens.level) == (2, 6000)
    quota.heed(RateInfo())
    assert quota.requests.level == 2


@given(st.floats(0.0, 1.0), st.integers(0, 300), st.integers(0, 40))
def test_an_allowance_is_a_burst_and_a_part_of_all_calls(
    part: float, calls: int, burst: int
) -> None:
    allowance, spent = Allowance(part, most=burst, left=burst), 0
    for _ in range(calls):
        allowance.earn()
        spent += allowance.spend()
    assert spent <= burst + part * calls + 1e-9
