"""Names and parts of function calls, whatever the provider."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tts.backends.functions import CallParts, Functions

NAMES = st.text("ab.-_ é", min_size=1, max_size=70)
VALUES = st.dictionaries(st.text('{}"\\a', max_size=3), st.text('{}"\\ a', max_size=5), max_size=3)


@given(st.lists(NAMES, unique=True, max_size=8))
def test_names_are_spelled_apart_and_lead_back(names: list[str]) -> None:
    functions = Functions([json.dumps({"name": name}) for name in names])
    spelled = [one["name"] for one in functions.offered]
    assert len(set(spelled)) == len(names)
    assert all(one.isascii() and len(one) <= 64 and "." not in one for one in spelled)
    assert [functions.named(one) for one in spelled] == names


@given(st.lists(VALUES, max_size=4), st.integers(1, 5))
def test_however_it_is_cut_a_call_is_told_once_and_whole(
    values: list[dict[str, str]], size: int
) -> None:
    parts, heard = CallParts(Functions([])), []
    for place, value in enumerate(values):
        text = json.dumps(value)
        parts.add(place, "f")
        for at in range(0, len(text), size):
            assert parts.whole() == []
            parts.add(place, arguments=text[at : at + size])
        parts.end(place)
        heard += parts.whole()
        assert [json.loads(call.arguments) for call in heard] == values[: place + 1]
    assert tuple(heard) == parts.calls


def test_a_later_call_waits_for_an_earlier_one() -> None:
    parts = CallParts(Functions([]))
    parts.add(0, "f", '{"a": ')
    parts.add(1, "g", "{}")
    assert parts.whole() == []
    parts.add(0, arguments="1}")
    assert [call.name for call in parts.whole()] == ["f", "g"]


def test_a_call_that_never_ended_is_among_the_calls_and_never_told() -> None:
    parts = CallParts(Functions([]))
    parts.add(0, "f", '{"a": "}"')
    assert parts.whole() == []
    assert [call.arguments for call in parts.calls] == ['{"a": "}"']
