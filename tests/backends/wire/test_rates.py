from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.wire.test_client import Paper, wire
from tts import Meter, RateLimited
from tts.backends import RateInfo
from tts.backends.wire.rates import rates_of
from tts.testing import virtual_run

DATE = {"date": "Tue, 24 Nov 2026 08:00:00 GMT"}
LEFT = {"x-ratelimit-remaining-tokens": "900", "x-ratelimit-reset-tokens": "6s"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, None),
        (LEFT, RateInfo(tokens=900, tokens_reset=6.0)),
        ({"x-ratelimit-remaining-requests": "few"}, RateInfo()),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"},
            RateInfo(requests=0, requests_reset=0.12),
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "4",
                "anthropic-ratelimit-requests-reset": "2026-11-24T08:00:30Z",
                "anthropic-ratelimit-tokens-remaining": "1000",
                **DATE,
            },
            RateInfo(requests=4, tokens=1000, requests_reset=30.0),
        ),
    ],
)
def test_what_is_left_is_read(headers: Mapping[str, str], expected: RateInfo | None) -> None:
    assert rates_of(headers) == expected


@given(st.dictionaries(st.sampled_from([*LEFT, "date", "retry-after"]), st.text(max_size=12)))
def test_any_header_is_survived(headers: dict[str, str]) -> None:
    rates = rates_of(headers)
    assert rates is None or rates.tokens is None or rates.tokens >= 0


def test_the_meter_is_told_by_an_answer_and_by_a_refusal() -> None:
    fine = Paper([(0.0, b"{}")], headers={"content-type": "application/json", **LEFT})
    refused = Paper([(0.0, b"{}")], status=429, headers=LEFT)
    meters = Meter(), Meter()

    async def main() -> None:
        line = wire(fine, refused)
        await line.post("/a", {}, meters[0])
        with pytest.raises(RateLimited):
            await line.post("/a", {}, meters[1])

    virtual_run(main)
    assert [meter.rates for meter in meters] == [RateInfo(tokens=900, tokens_reset=6.0)] * 2
