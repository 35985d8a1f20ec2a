from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts.backends.wire import Timeouts
from tts.backends.wire.patience import retry_after

NOW = "Tue, 24 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Tue, 24 Nov 2026 08:01:00 GMT"}, 60.0),
        ({"retry-after": "Tue, 24 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "999999"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-reset-tokens": "6ms", "x-ratelimit-reset-requests": "2s"}, 2.0),
        (
            {"x-ratelimit-reset-requests": "9s", "x-ratelimit-remaining-requests": "5"},
            None,
        ),
        ({"anthropic-ratelimit-requests-reset": "2026-11-24T08:00:05Z"}, 5.0),
        ({"x-ratelimit-reset": "1795507205000"}, 5.0),
        ({"x-ratelimit-reset": "1795507205"}, 5.0),
        ({}, None),
    ],
)
def test_a_server_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after({"date": NOW} | headers) == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_google_says_it_in_the_body() -> None:
    details = [{"@type": "x"}, {"retryDelay": "34.5s"}]
    assert retry_after({}, {"error": {"details": details}}) == 34.5


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), st.text()))
def test_nonsense_is_no_wait_and_no_error(headers: dict[str, str]) -> None:
    wait = retry_after(headers)
    assert wait is None or 0 <= wait <= 86_400


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf")])
def test_a_wait_is_a_positive_time(wrong: float) -> None:
    with pytest.raises(ValidationError):
        Timeouts(connect=wrong)
