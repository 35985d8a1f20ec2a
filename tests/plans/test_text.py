"""Reading plans: what is a call, what is repaired, what is a problem; never a silent drop."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans.samples import DEFECTS, plans, random_plan, read
from tts.plans import Call, Join, PlanReader, Problem, Ref, Template, Thought


def calls(*pieces: str) -> list[Call]:
    return [item for item in read(*pieces) if isinstance(item, Call)]


def written(*pieces: str) -> list[str]:
    return [f"{call.id}. {call.text}" for call in calls(*pieces)]


def fatal(text: str) -> list[Problem]:
    return [item for item in read(text) if isinstance(item, Problem) and item.is_fatal]


@given(text=plans, data=st.data())
def test_every_partition_of_a_plan_gives_the_same_items(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(*pieces) == read(text)


def test_two_hundred_plans_read_the_same_whole_and_by_character() -> None:
    rng = random.Random(0)
    for text in [*DEFECTS, *(random_plan(rng) for _ in range(200))]:
        assert read(text) == read(*text)


@given(text=plans)
def test_a_call_is_out_with_its_last_character(text: str) -> None:
    reader, seen = PlanReader(), 0
    for character in text:
        new = [item for item in reader.feed(character) if isinstance(item, Call)]
        seen += len(new)
        if new and not new[0].is_repaired:
            assert character == ")"
    assert seen <= len(calls(text))


@given(text=st.text(max_size=300))
def test_no_text_breaks_the_reader_or_vanishes(text: str) -> None:
    items = read(text)
    is_said = any(word.isalnum() for word in text)
    assert items or not is_said or text.lstrip()[:1] in "`~#"


@given(text=plans)
def test_ids_are_never_given_twice(text: str) -> None:
    ids = [call.id for call in calls(text)]
    assert len(ids) == len(set(ids))


@given(text=plans)
def test_references_lead_to_earlier_calls(text: str) -> None:
    from tts.plans import refs

    seen: set[int] = set()
    for call in calls(text):
        arguments = [*call.arguments.positional, *dict(call.arguments.keywords).values()]
        assert {ref.id for ref in refs(arguments)} <= seen
        seen.add(call.id)


def test_the_parts_of_a_plan() -> None:
    items = read("Thought: both\n1. search('a')\nand\n2. join()\nmore")
    assert [type(item) for item in items] == [Thought, Call, Problem, Join]
    assert [getattr(item, "line", 0) for item in items] == [0, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. f(1)2. g(2)", ["1. f(1)", "2. g(2)"]),
        ("- 1) f(1)\n> 2: g(2)", ["1. f(1)", "2. g(2)"]),
        ("**1. f(1)**\n`2. g(2)`", ["1. f(1)", "2. g(2)"]),
        ("1. `f(1)`", ["1. f(1)"]),
        ("1. a.b-c(1)", ["1. a.b-c(1)"]),
        ("1. f(\n  1,\n  2\n)", ["1. f(\n  1,\n  2\n)"]),
        ("1. f(')') # (", ["1. f(')')"]),
        ("1. f(1) // see 2. g(1)\n3. h(1)", ["1. f(1)", "3. h(1)"]),
        ("1. f(1) # then 2. g(1)\n3. h(1)", ["1. f(1)", "3. h(1)"]),
        ("<think>1. f(1)</think>2. g(2)", ["2. g(2)"]),
        ("1. f(1)\n<END_OF_PLAN>2. g(2)", ["1. f(1)"]),
        ("1. f(1)\njoin\n2. g(2)", ["1. f(1)"]),
    ],
)
def test_forms_that_are_read(text: str, expected: list[str]) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('1. f("a"\n2. g(1)', ['1. f("a")', "2. g(1)"]),
        ("1. f(1\njoin()", ["1. f(1)"]),
        ("1. f(1\nThought: so\n2. g(2)", ["1. f(1)", "2. g(2)"]),
        ("1. f(1\n<END_OF_PLAN>\n", ["1. f(1)"]),
        ("1. f('Twas the night)\n2. g(1)", ["1. f('Twas the night)", "2. g(1)"]),
        ("1. f(1", ["1. f(1)"]),
    ],
)
def test_a_missing_end_is_repaired_and_marked(text: str, expected: list[str]) -> None:
    assert written(text) == expected
    assert calls(text)[0].is_repaired
    assert fatal(text) == []


def test_a_call_that_was_cut_off_is_not_made() -> None:
    items = read('1. f(1)\n2. g("half a na', is_cut=True)
    assert [type(item) for item in items] == [Call, Problem]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1. compare both", "a line is a call"),
        ("f(1)", "number"),
        ("1. f(1)\n1. f(2)", "taken: go on from 2"),
        ("2. f(${1})", "no earlier call"),
        ("2. f($1)", "no earlier call"),
        ("1. f($1)", "no earlier call"),
        ('1. f(0)\n2. f("${1[-1]}")', "no earlier call"),
        ("1. f(0)\n2. f(${1.a-b})", "no earlier call"),
    ],
)
def test_what_cannot_be_carried_out_says_why(text: str, reason: str) -> None:
    assert [reason in problem.reason for problem in fatal(text)] == [True]


def test_a_call_that_is_written_twice_is_a_remark() -> None:
    items = read("1. f(1)\n1. f(1)")
    assert [getattr(item, "is_fatal", None) for item in items] == [None, False]


def test_earlier_rounds_can_be_referred_to_and_their_ids_are_taken() -> None:
    reader = PlanReader({1: "f(1)", 2: "f(2)"})
    items = reader.feed("1. f(1)\n2. g(2)\n3. g($2)\n")
    assert [getattr(item, "is_fatal", "call") for item in items] == [False, True, "call"]


def value(argument: str) -> object:
    [call] = (
        calls(f"9. f({argument})")
        if "$" not in argument
        else calls(f"1. f(0)\n5. f(0)\n9. f({argument})")[-1:]
    )
    return call.arguments.positional[0]


def text_of(value: object) -> object:
    if isinstance(value, Template):
        return "".join(part if isinstance(part, str) else f"<{part.id}>" for part in value.parts)
    return f"<{value.id}>" if isinstance(value, Ref) else value


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("$1", "<1>"),
        ('"$1"', "<1>"),
        ("${1}", "<1>"),
        ('"$1 + $5"', "<1> + <5>"),
        ("$1 + $5", "<1> + <5>"),
        ('"costs $5 million"', "costs $5 million"),
        ('"costs $5"', "costs <5>"),
        ('"costs $10"', "costs $10"),
        ('"$1.50 or $5,000 or $5m"', "$1.50 or $5,000 or $5m"),
        ('"$5% of $1 m"', "<5>% of <1> m"),
        ("$7 million", "$7 million"),
        ('"""print(1, "2")"""', 'print(1, "2")'),
        ("'''a\nb'''", "a\nb"),
        ('""', ""),
        ('["", """)"""]', ["", ")"]),
        ('"$$1"', "$1"),
        ('"${1}0"', "<1>0"),
        ("In Cold Blood", "In Cold Blood"),
        ("it's", "it's"),
        ('"a\\"b\\n\\u00e9\\q"', 'a"b\né\\q'),
        ("[1, 'a', [2.5]]", [1, "a", [2.5]]),
        ("{'k': (1, 2), \"j\": None}", {"k": (1, 2), "j": None}),
        ("(1)", 1),
        ("(1,)", (1,)),
        ("true", True),
        ("-3", -3),
        ("007", "007"),
        ("3 * (4 + 5)", "3 * (4 + 5)"),
    ],
)
def test_what_an_argument_stands_for(argument: str, expected: object) -> None:
    assert text_of(value(argument)) == expected


def test_a_tuple_of_text_keeps_its_whole() -> None:
    [call] = calls("1. search(Crouching Tiger, Hidden Dragon)")
    assert call.arguments.whole == "Crouching Tiger, Hidden Dragon"
    assert call.arguments.positional == ("Crouching Tiger", "Hidden Dragon")


def test_keywords_are_told_from_comparisons() -> None:
    [call] = calls("1. f(a=1, b == 2)")
    assert call.arguments.keywords == (("a", 1),)
    assert call.arguments.positional == ("b == 2",)


@pytest.mark.parametrize("opening", ["(", "[", "{'a': "])
def test_deep_nesting_is_plain_text(opening: str) -> None:
    closing = {"(": ")", "[": "]", "{'a': ": "}"}[opening]
    argument = opening * 500 + "1" + closing * 500
    [call] = calls(f"1. f({argument})")
    assert call.arguments.is_plain


PIECES = [
    "1. f(", ")", "\n", "2. g(", "$1", "${1", "[", "]", "{", "}", "'", '"', ",", ":", "=", "1_",
    "9" * 5000, "0", ".5", "e9", "-", "join", "Thought:", "`", "```", "<think>", " ", "x", "[0]",
    ".a", "(",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_plan_however_garbled_breaks_the_reader(pieces: list[str]) -> None:
    text = "1. f(0)\n" + "".join(pieces)
    assert read(text) == read(*pieces_of(text, 7))


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize(
    "argument",
    [
        "1_",
        "1__0",
        "1_.5",
        "{([1],2): 3}",
        "$" + "1" * 5000,
        "${1[" + "9" * 5000 + "]}",
        '"${1' + "0" * 5000 + '}"',
    ],
)
def test_what_is_almost_a_value_is_plain_text(argument: str) -> None:
    [*_, call] = calls(f"1. f(0)\n2. g({argument})")
    assert call.arguments.is_plain or "$" in argument


LONG = 100_000


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "1. f(\n" + "(" * LONG,
        "Thought: a" + " " * LONG + "b",
        "join" + " " * LONG + "x",
        "```" + " " * LONG + "a b",
        "f(" + ")" * LONG + "`" * LONG + "x",
        "1." + " " * LONG + "f(1)",
        "1. f('" + "${1['" * (LONG // 5),
        "1. f(" + "$1 " * (LONG // 3) + ")",
        "\n" * LONG + "1. f(1)",
    ],
    ids=range(9),
)
def test_long_texts_take_no_longer_than_their_length(text: str) -> None:
    read(text)  # were it the square of it, this would not end today


def test_what_refers_to_a_call_that_was_refused_is_refused_too() -> None:
    reasons = [problem.reason for problem in fatal('1. f($9)\n2. g("sum $1 and 3")')]
    assert reasons == ["$9 stands for no earlier call", "$1 stands for no earlier call"]
    assert written('1. f($9)\n1. f(0)\n2. g("sum $1 and 3")') == ["1. f(0)", '2. g("sum $1 and 3")']


def test_a_list_within_a_text_is_no_call_of_a_tool_that_there_is() -> None:
    text = '1. write("List:\n2. mix(flour)\n3. bake")\n4. join()'
    reader = PlanReader(tools={"write"})
    call, join = reader.feed(text)
    assert isinstance(call, Call)
    assert call.arguments.positional == ("List:\n2. mix(flour)\n3. bake",)
    assert isinstance(join, Join)


def test_a_line_that_names_a_tool_is_no_remark() -> None:
    reader = PlanReader(tools={"f"})
    items = [item for item in reader.feed("Step 1: f(1)\nof g(1)\n") if isinstance(item, Problem)]
    assert [item.is_fatal for item in items] == [True, False]
