from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import Completion, Message, Request, Sampling, Usage
from tts.backends import prompt_bytes
from tts.messages import TokenLogprob
from tts.testing import completion


def request(**fields: object) -> Request:
    return Request.model_validate({"messages": (Message(role="user", content="hi"),)} | fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"top_p": 0},
        {"top_k": 0},
        {"max_tokens": 0},
        {"stop": ("",)},
        {"timeout": 0},
        {"messages": ()},
        {"no_such_field": 1},
        {"top_logprobs": 21},
    ],
)
def test_request_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        request(**wrong)


def test_messages_are_frozen() -> None:
    with pytest.raises(ValidationError):
        request().temperature = 1.0


def test_request_extends_sampling() -> None:
    assert set(Sampling.model_fields) < set(Request.model_fields)


def test_usage_adds_up() -> None:
    assert Usage(prompt_tokens=3, completion_tokens=4).total_tokens == 7


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("<think>hm</think>\nAnswer: 7", "Answer: 7"),
        ("a <think>b\nc</think> d <think>e</think>", "a  d"),
        ("<think>never ends", ""),
        ("opened by the template</think>\nAnswer: 7", "Answer: 7"),
        ("plain", "plain"),
    ],
)
def test_visible_text_has_no_raw_reasoning(text: str, visible: str) -> None:
    assert completion(text).visible == visible


def test_mean_logprob_is_none_without_logprobs() -> None:
    assert completion("a b").mean_logprob is None
    assert completion("", logprob=-1.0).mean_logprob is None


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=20))
def test_mean_logprob_is_the_mean(logprobs: list[float]) -> None:
    made = Completion(
        text="x",
        usage=Usage(),
        model="m",
        logprobs=tuple(TokenLogprob(token="x", logprob=value) for value in logprobs),
    )
    assert made.mean_logprob == pytest.approx(sum(logprobs) / len(logprobs))


@given(st.text(max_size=50), st.text(max_size=20))
def test_prompt_bytes_bounds_every_byte_level_tokenizer(text: str, given_text: str) -> None:
    asked = request(messages=(Message(role="user", content=text),), given=given_text)
    assert prompt_bytes(asked) >= len(text.encode()) + len(given_text.encode())
