"""Plans in a provider's own form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tts.messages import ToolCall
from tts.plans import Call, NativeReader, PlanReader, Problem, Ref, Template

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.sampled_from("ab $15{}.\"'(\n"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=6,
)


def called(*arguments: Any, first: int = 1, known: set[int] | None = None) -> list[Any]:
    calls = [ToolCall(name="f", arguments=json.dumps(each)) for each in arguments]
    return read(calls, first, known or set())


def read(calls: list[ToolCall], first: int, known: set[int]) -> list[Any]:
    reader = NativeReader(first, known)
    return [item for call in calls for item in reader.feed(call)]


def named(call: Any) -> dict[str, Any]:
    assert isinstance(call, Call)
    return dict(call.arguments.keywords)


def test_calls_are_numbered_in_their_order() -> None:
    first, second = called({"a": 1}, {"b": [2]}, first=4)
    assert (first.id, first.text, named(first)) == (4, "f(a=1)", {"a": 1})
    assert (second.id, second.text, named(second)) == (5, "f(b=[2])", {"b": [2]})


def test_a_text_may_refer_to_an_earlier_call_of_this_or_an_earlier_round() -> None:
    _, second = called({"a": 1}, {"b": "$2", "c": ["up to ${1.size}"]}, first=2, known={1})
    assert named(second)["b"] == Ref(2, (), "$2")
    assert named(second)["c"] == [Template(("up to ", Ref(1, ("size",), "${1.size}"), ""))]


@pytest.mark.parametrize("text", ["$5 million", "$7.50", "costs $2"])
def test_money_and_calls_to_come_are_no_references(text: str) -> None:
    assert named(called({"a": text})[0]) == {"a": text}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"a": "${9}"}', "stands for no earlier call"),
        ('{"a": ["$7"]}', "$7 stands for no earlier call"),
        ('{"a": "${1[-1]}"}', "stands for no earlier call"),
        ('{"a": ' + "[" * 500 + "]" * 500 + "}", "nested too deeply"),
    ],
)
def test_what_is_no_call_is_told(arguments: str, reason: str) -> None:
    problem, good = read(
        [ToolCall(name="f", arguments=arguments), ToolCall(name="f", arguments="")], 1, set()
    )
    assert isinstance(problem, Problem)
    assert reason in problem.reason
    assert (good.id, named(good)) == (2, {})


@given(st.lists(st.dictionaries(st.sampled_from("ab"), VALUES), max_size=4))
def test_nothing_that_is_called_raises(arguments: list[dict[str, Any]]) -> None:
    assert len(called(*arguments)) == len(arguments)


@given(st.dictionaries(st.sampled_from("ab"), st.integers() | st.text("ab '$1", max_size=6)))
def test_both_forms_say_the_same(arguments: dict[str, Any]) -> None:
    [native] = called(arguments, first=2, known={1})
    assume(isinstance(native, Call))  # $11 stands for no earlier call
    reader = PlanReader({1: "f()"})
    [written] = reader.feed(f"2. {native.text}\n")
    assert isinstance(written, Call)
    assert written.arguments.keywords == native.arguments.keywords


def test_what_refers_to_a_call_that_could_not_be_read_is_none_either() -> None:
    first, second = called({"a": "$9"}, {"a": "sum $1 and 3"})
    assert isinstance(first, Problem)
    assert second.reason == "$1 stands for no earlier call"
