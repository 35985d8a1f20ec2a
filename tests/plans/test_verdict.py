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


@pytest.mark.parametrize(
    ("text", "action", "said"),
    [
        ("Finish(1) buy milk 2) go)", "finish", "1) buy milk 2) go"),
        ('Finish("1) milk 2) eggs")', "finish", "1) milk 2) eggs"),
        ('Finish(":)")', "finish", ":)"),
        ("Finish(36) (see call 2)", "finish", "36"),
        ("Finish(36) since 1) holds", "finish", "36"),
        ("Finish[42]", "finish", "42"),
        ('Thought: done.\n{"action": "finish", "answer": "42"}', "finish", "42"),
        ('so:\n{"action": "replan",\n "feedback": "more"}\nyes', "replan", "more"),
        ('{"action": "replan"}\n```json\n{"finish": 1}\n```', "finish", "1"),
        ('{"action": "finish", "answer": {"finish": 1}}', "finish", '{"finish": 1}'),
        ('{"finish": 1}\nReplan: no', "replan", "no"),
        ('{"action": "finish", "answer": null}', "finish", ""),
    ],
)
def test_the_last_action_counts_whatever_its_form(text: str, action: str, said: str) -> None:
    assert read_verdict(text) == Verdict(action, said)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Finish: The total is 12", "unreadable"),
        ("Finish: 12\nThat is sin", "finish"),
        ("Finish(12", "unreadable"),
        ("Finish(12) sin", "finish"),
        ('{"finish": 12', "unreadable"),
        ('{"finish": 12} and', "finish"),
        ("Replan: the weig", "unreadable"),
    ],
)
def test_an_action_that_was_cut_off_is_none(text: str, action: str) -> None:
    assert read_verdict(text, is_whole=False).action == action
