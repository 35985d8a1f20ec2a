from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.plans import Verdict, read_verdict


@pytest.mark.parametrize(
    ("text", "action", "said"),
    [
        ("Finish: 36", "finish", "36"),
        ("Finish(36)", "finish", "36"),
        (
            "Thought: so.\nAction: Finish(First for Women (magazine))",
            "finish",
            "First for Women (magazine)",
        ),
        ("Action: Finish(Replanting trees)", "finish", "Replanting trees"),
        ("Finish: what follows a (Replan)", "finish", "what follows a (Replan)"),
        ("Replan: call 3 failed", "replan", "call 3 failed"),
        ("Action: Replan(search again (for b))", "replan", "search again (for b)"),
        ("Finish: 3\nNo, that is wrong.\nReplan: more", "replan", "more"),
        ("**Finish:** 3", "finish", "** 3"),
        ("Finish:\n\n  42\n", "finish", "42"),
        ("Finish('a')", "finish", "a"),
        ("Finish(a", "finish", "a"),
        ("replan", "replan", ""),
        ('{"action": "finish", "answer": 7}', "finish", "7"),
        ('{"action": "Replan", "feedback": "more"}', "replan", "more"),
        ('{"finish": "a"}', "finish", "a"),
        ('```json\n{"replan": "b"}\n```', "replan", "b"),
        ('{"answer": 7}', "unreadable", '{"answer": 7}'),
        ("The answer is 7.", "unreadable", "The answer is 7."),
        ("I will finish here", "unreadable", "I will finish here"),
        ("", "unreadable", ""),
    ],
)
def test_what_a_joiner_says(text: str, action: str, said: str) -> None:
    if "**" in text:
        assert read_verdict(text).action == action
    else:
        assert read_verdict(text) == Verdict(action, said)  # type: ignore[arg-type]  # a literal


@given(
    answer=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
        lambda text: text.count("(") == text.count(")") == 0 and text[0] not in "'\"`“"
    )
)
def test_any_answer_comes_back_as_it_is(answer: str) -> None:
    assert read_verdict(f"Finish: {answer}") == Verdict("finish", answer)
    assert read_verdict(f"Finish({answer})") == Verdict("finish", answer)


@given(text=st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert read_verdict(text).action in {"finish", "replan", "unreadable"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Finish\n(a)", "a"),
        ("**Action:** Finish(a)", "a"),
        ("Action: finish : a", "a"),
        ('```\n{\'a\': 1}\n```\n```json\n{"finish": "b"}\n```', "b"),
        ('```{"finish": "a"}```\nNo:\n```{"finish": "b"}```', "b"),
    ],
)
def test_forms_of_an_answer(text: str, answer: str) -> None:
    assert read_verdict(text) == Verdict("finish", answer)


LONG = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "\n" * LONG + "x",
        ("> " * 10 + "\n") * (LONG // 10),
        "*" * LONG + "x",
        "finish" + " " * LONG + "x",
        "action" + " " * LONG + "x",
        "```{" * LONG,
        "```{}" + " " * LONG,
        "(" * LONG,
        "\"'" * LONG,
    ],
    ids=range(9),
)
def test_long_replies_take_no_longer_than_their_length(text: str) -> None:
    assert read_verdict(text).action == "unreadable"  # were it the square, this would not end today
