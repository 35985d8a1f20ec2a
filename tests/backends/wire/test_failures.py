from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends.wire.failures import failure, said
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendUnavailable,
    ContextLengthExceeded,
    RateLimited,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "m", "code": "c"}},
        {"error": "m"},
        {"object": "error", "message": "m", "code": 400},
        {"detail": "m"},
        [{"error": {"message": "m", "status": "S"}}],
    ],
)
def test_every_shape_of_error_is_read(body: Any) -> None:
    assert said(body).message == "m"


LONG = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "the request exceeds the available context size. try increasing the context size",
    "prompt is too long: 215000 tokens > 200000 maximum",
    "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048",
]


@pytest.mark.parametrize("message", LONG)
def test_a_context_that_is_too_short_is_known_by_its_words(message: str) -> None:
    error = failure("s", 400, {}, {"error": {"message": message}})
    assert type(error) is ContextLengthExceeded


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("overloaded_error", 0, BackendUnavailable),
        ("rate_limit_error", 0, RateLimited),
        ("invalid_request_error", 0, BackendError),
        ("authentication_error", 0, AuthenticationError),
        ("anything", 0, BackendUnavailable),
    ],
)
def test_errors_within_a_stream_are_known_by_their_kind(
    kind: str, status: int, error: type[BackendError]
) -> None:
    assert type(failure("s", status, {}, {"error": {"type": kind}})) is error


@given(st.integers(300, 599), JSON)
def test_any_response_becomes_one_of_our_errors_on_one_line(status: int, body: Any) -> None:
    error = failure("host", status, {}, body)
    assert isinstance(error, BackendError)
    assert str(error).startswith("host: ")
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) < 500


@given(st.sampled_from([400, 403, 404, 429, 500, 529]))
def test_the_key_never_enters_a_message(status: int) -> None:
    body = {"error": {"message": "wrong key k-1234567 given", "code": "k-1234567"}}
    assert "k-1234567" not in str(failure("s", status, {}, body, secret="k-1234567"))
