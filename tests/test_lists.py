from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.lists import Step, items, ordered, rating, steps

PLAIN = st.from_regex(r"[a-z]{2,8}( [a-z]{2,8}){0,3}", fullmatch=True).filter(
    lambda text: text.split()[0] not in {"step", "plan", "path", "outline", "method"}
)
ODD = st.text(st.sampled_from('1.)-*[]{}":, \nab#`/%'), max_size=60)


@pytest.mark.parametrize(
    "text",
    [
        "1. a\n2. b",
        "1) a\n2) b",
        "(1) a\n(2) b",
        "- a\n- b",
        "* a\n* b",
        "• a\n• b",
        "**1.** a\n**2.** b",
        "Step 1: a\nStep 2: b",
        "**Step 1:** a\n**Step 2:** b",
        "### Outline 1: a\n\n### Outline 2: b",
        "1. **a**\n\n2. `b`",
        "Sure! Here are two:\n\n1. a\n2. b\n\nLet me know if you need more.",
        '["a", "b"]',
        '```json\n["a", "b"]\n```',
        "Here:\n```\n1. a\n2. b\n```\nGood luck!",
        'The list is ["a", "b"].',
        '{"step1": "a", "step2": "b"}',
        '{"outlines": ["a", "b"]}',
        '[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]',
        '[{"title": "a"}, {"outline": "b"}]',
        "7. a\n9. b",
    ],
)
def test_lists_are_read_as_models_write_them(text: str) -> None:
    assert items(text) == ["a", "b"]


def test_deeper_entries_and_further_lines_belong_to_the_one_above() -> None:
    text = "1. first\n   - detail\n\n   more\n2. second\n   1. part\n   goes on"
    assert items(text) == ["first - detail more", "second 1. part goes on"]


@pytest.mark.parametrize("text", ["", "First add them, then subtract.", "[1, 2]", "{}", "[[[["])
def test_prose_is_no_list(text: str) -> None:
    assert not items(text)
    assert not steps(text)


def test_decimals_do_not_number() -> None:
    assert items("3.5 apples are left") == []


@given(st.lists(PLAIN, min_size=1, max_size=6))
def test_numbered_lists_come_back(texts: list[str]) -> None:
    assert items("\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))) == texts


@given(ODD)
def test_nothing_that_is_written_raises(text: str) -> None:
    for step in steps(text):
        assert step.text.strip()
    rated = rating(text)
    assert rated is None or 0.0 <= rated <= 1.0
    assert isinstance(items(text), list)


@pytest.mark.parametrize("needs", ["[1]", "(needs 1)", "[needs: 1]", "(depends on step 1)", "[1]."])
def test_needs_are_read(needs: str) -> None:
    assert steps(f"1. a []\n2. b {needs}") == [Step("a", ()), Step("b", (0,))]


def test_needs_of_no_step_and_of_itself_are_left_out() -> None:
    assert steps("1. a [1, 9, 2, 2]\n2. b [none]") == [Step("a", (1,)), Step("b", ())]
    assert steps('[{"step": "a", "needs": [2]}, {"step": "b"}]') == [Step("a", (1,)), Step("b")]


def test_order_puts_needs_first_and_the_goal_last() -> None:
    backward = steps("1. total [2, 3]\n2. a [4]\n3. b []\n4. c []")
    assert [step.text for step in ordered(backward)] == ["b", "c", "a", "total"]
    forward = steps("1. a []\n2. aside []\n3. total [1]")
    assert [step.text for step in ordered(forward)] == ["a", "aside", "total"]
    silent = steps("1. a\n2. b")
    assert ordered(silent) == silent
    assert ordered(steps("1. a [2]\n2. b [1]")) == []


@st.composite
def plans(draw: st.DrawFn) -> list[Step]:
    """Plans without circles, listed in any order."""
    size = draw(st.integers(1, 7))
    listed = draw(st.permutations(range(size)))
    needs = [draw(st.sets(st.integers(0, rank - 1))) if rank else set() for rank in range(size)]
    at = {rank: place for place, rank in enumerate(listed)}
    return [Step(str(rank), tuple(at[need] for need in needs[rank])) for rank in listed]


@given(plans())
def test_every_step_comes_after_what_it_needs(plan: list[Step]) -> None:
    order = ordered(plan)
    assert sorted(order) == sorted(plan)
    for place, step in enumerate(order):
        assert {plan[need] for need in step.needs or ()} <= set(order[:place])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.7", 0.7),
        ("**0.7**", 0.7),
        ("0,7", 0.7),
        (".5", 0.5),
        ("7/10", 0.7),
        ("70%", 0.7),
        ("70/100", 0.7),
        ("1", 1.0),
        ("0", 0.0),
        ("Difficulty: 0.35 (two steps)", 0.35),
        ("On a scale from 0 to 1, I say 0.6.", 0.6),
        ("3", None),
        ("250%", None),
        ("-0.5", None),
        ("rather hard", None),
        ("", None),
    ],
)
def test_ratings(text: str, value: float | None) -> None:
    assert rating(text) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Difficulty (0 = easy, 1 = hard): 0.6", 0.6),
        ("On the scale [0, 1]: 0.7", 0.7),
        ("0 is easy and 1 is hard; this is 0.8", 0.8),
        ("Step 1: 0.3", 0.3),
        ("0.2 or 0.9, who knows", None),
    ],
)
def test_a_scale_is_not_its_rating(text: str, expected: float | None) -> None:
    assert rating(text) == expected


@pytest.mark.parametrize(
    "needs", ["[1 strong, 2 weak]", "[1: strong; 2: weak]", "(needs 1 strong, 2 weak)"]
)
def test_couplings_are_read(needs: str) -> None:
    step = steps(f"1. a []\n2. b []\n3. c {needs}")[2]
    assert step == Step("c", (0, 1), ((0, 0.7), (1, 0.3)))


def test_couplings_are_read_from_json() -> None:
    text = """[{"text": "a", "needs": []},
        {"text": "b", "needs": [{"id": 1, "coupling": "Critical"}, {"id": "x"}, 2]},
        {"text": "c", "needs": [{"id": 2, "coupling": "none"}, {"id": 1, "coupling": "?"}]}]"""
    assert steps(text)[1:] == [Step("b", (0,), ((0, 1.0),)), Step("c", (1, 0), ((1, 0.0),))]


@pytest.mark.parametrize("text", ["the time [12:30]", "what is [critical]", "a [weak, strong]"])
def test_words_in_brackets_are_no_needs(text: str) -> None:
    assert steps(f"1. {text}") == [Step(text)]
