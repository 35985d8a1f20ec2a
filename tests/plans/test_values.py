from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.plans import Ref, Template, fill, read_arguments, refs


def filled(argument: str, results: dict[int, Any]) -> Any:
    value = read_arguments(argument, results).positional[0]
    return fill(value, results, str)


@given(result=st.text())
def test_no_result_is_ever_read_as_a_reference(result: str) -> None:
    results = {1: f"{result} $2 ${{2}} $$", 2: "two"}
    assert filled('"<$1|$2>"', results) == f"<{results[1]}|two>"


@given(result=st.one_of(st.integers(), st.lists(st.integers()), st.none(), st.booleans()))
def test_a_reference_alone_hands_the_object_on(result: object) -> None:
    assert filled("$1", {1: result}) == result
    other = object()
    assert filled("$1", {1: [other]})[0] is other
    assert filled("[{'k': $1}]", {1: result}) == [{"k": result}]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("${1.a}", 3),
        ("$1.b[1]", 6),
        ("${1['b'][0]}", 5),
        ('"a is ${1.a}"', "a is 3"),
        ("{'x': (${1.a}, 1)}", {"x": (3, 1)}),
    ],
)
def test_parts_of_a_result(argument: str, expected: object) -> None:
    assert filled(argument, {1: {"a": 3, "b": [5, 6]}}) == expected


def test_a_result_that_is_json_text_has_parts_too() -> None:
    assert filled("${1.a[0]}", {1: '{"a": [7]}'}) == 7


@pytest.mark.parametrize(
    "result",
    [{}, "plain", 7, [], type("Secret", (), {"a": 1})()],
    ids=lambda each: type(each).__name__,
)
def test_a_part_that_is_not_there_says_so(result: object) -> None:
    with pytest.raises(LookupError, match="step 1"):
        filled("${1.a}", {1: result})


def test_attributes_are_out_of_reach() -> None:
    with pytest.raises(LookupError):
        filled("${1.__class__}", {1: "text"})


def test_references_are_found_wherever_they_stand() -> None:
    value = read_arguments("{'a': [$1, \"x $2\"], $3: ($4,)}", range(1, 5)).positional[0]
    assert [ref.id for ref in refs(value)] == [1, 2, 3, 4]
    assert list(refs(Template(("a", Ref(1, (), "$1"))))) == [Ref(1, (), "$1")]


def test_a_result_that_cannot_be_a_key_says_so() -> None:
    with pytest.raises(LookupError, match="list cannot be a key"):
        filled("{$1: 2}", {1: [1]})


def test_a_result_that_holds_one_thing_many_times_is_handed_on_at_once() -> None:
    result: list[Any] = [1]
    for _ in range(60):
        result = [result, result]
    handed = filled("$1", {1: result})
    assert handed is not result
    assert handed[0] is handed[1] is not result[0]
