"""What cached answers of a remote model depend on."""

from typing import Any

import pytest

from tts.backends.openai import OpenAI

BASE: dict[str, Any] = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}


@pytest.mark.parametrize(
    "setting",
    [
        {"price": {"input": 1.0, "output": 2.0}},
        {"timeouts": {"total": 5.0}},
        {"max_response_bytes": 4096},
        {"proxy": "http://127.0.0.1:2"},
        {"always_stream": True},
        {"retry": {"attempts": 1}},
    ],
)
def test_how_a_call_travels_voids_no_cached_answer(setting: dict[str, Any]) -> None:
    plain, other = OpenAI.model_validate(BASE), OpenAI.model_validate(BASE | setting)
    assert plain.identity() == other.identity()


@pytest.mark.parametrize(
    "setting",
    [
        {"model": "other"},
        {"base_url": "http://127.0.0.1:2/v1"},
        {"extra": {"top_a": 1}},
        {"omit": ["seed"]},
        {"headers": {"x-tenant": "a"}},
    ],
)
def test_what_is_asked_and_of_whom_does(setting: dict[str, Any]) -> None:
    plain, other = OpenAI.model_validate(BASE), OpenAI.model_validate(BASE | setting)
    assert plain.identity() != other.identity()
