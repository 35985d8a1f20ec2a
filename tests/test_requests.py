from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import ConfigError
from tts.messages import Message, Request, Sampling
from tts.prompts import Prompt
from tts.requests import Requests, as_prompt
from tts.spans import seed_of

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.0, 1, 1.0, 2.5, True, "1", -1.0]),
        "max_tokens": st.sampled_from([1, 1.0, True, 7, 0]),
        "top_k": st.sampled_from([None, 1, True, 5]),
        "logprobs": st.sampled_from([True, False, 1, 0]),
        "stop": st.sampled_from([(), ("a",), ["a"], [""], "a"]),
        "timeout": st.sampled_from([None, 1, 1.0, 0.0]),
        "tempersture": st.just(1.0),
    },
)
MESSAGES = st.sampled_from(
    [
        (Message(role="user", content="Q"),),
        (Message(role="system", content="S"), Message(role="user", content="Q")),
        ({"role": "user", "content": "Q"},),
        ({"role": "nobody", "content": "Q"},),
        ("Q",),
        (),
    ]
)
SAMPLING = Sampling(temperature=2.0, top_k=3)


def outcome(build: Any) -> Any:
    """What is built, or the kind of error."""
    try:
        return build()
    except (ConfigError, ValueError) as error:
        return type(error)


@given(st.lists(st.tuples(OPTIONS, MESSAGES), min_size=1, max_size=8))
def test_a_request_is_what_validation_would_make_of_it(
    calls: list[tuple[dict[str, Any], Any]],
) -> None:
    requests = Requests(SAMPLING)
    for ticket, (options, messages) in enumerate(calls):
        fields = {**dict(SAMPLING), **options, "messages": messages, "role": "judge"}
        fields |= {"seed": seed_of(5, "run/x", ticket), "span": "run/x", "ticket": ticket}
        prompt = Prompt("judge", messages)

        def validated(fields: dict[str, Any] = fields) -> Request:
            try:
                return Request.model_validate(fields)
            except ValueError as error:
                raise ConfigError("refused") from error

        built = outcome(lambda: requests.build(prompt, options, 5, "run/x", ticket))  # noqa: B023
        wanted = outcome(validated)
        assert built == wanted
        if isinstance(wanted, Request):
            types = [type(value) for value in dict(wanted).values()]
            assert [type(value) for value in dict(built).values()] == types


def test_a_built_request_is_a_whole_value() -> None:
    built = Requests(SAMPLING).build(Prompt.of("Q"), {"timeout": 2.0}, 0, "run", 1)
    validated = Request.model_validate(built.model_dump())
    assert (built, hash(built), repr(built)) == (validated, hash(validated), repr(validated))
    assert built.model_fields_set == validated.model_fields_set
    assert pickle.loads(pickle.dumps(built)) == copy.deepcopy(built) == copy.copy(built) == built
    assert built.model_copy(update={"ticket": 2}).ticket == 2
    with pytest.raises(ValueError, match="frozen"):
        built.ticket = 3


def test_requests_share_nothing_that_can_change() -> None:
    requests = Requests(SAMPLING)
    one = requests.build(Prompt.of("one"), {}, 0, "run", 0)
    other = requests.build(Prompt.of("other"), {}, 0, "run", 1)
    assert (one.messages[0].content, one.ticket) == ("one", 0)
    assert (other.messages[0].content, other.ticket) == ("other", 1)


def test_a_role_that_is_given_replaces_the_prompts_own() -> None:
    assert as_prompt(Prompt.of("Q", "judge"), "").role == "judge"
    assert as_prompt(Prompt.of("Q", "judge"), "solve").role == "solve"
    assert as_prompt("Q", "").role == "solve"
    assert as_prompt([Message(role="user", content="Q")], "judge").role == "judge"
