from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.questions import restates

SHOP = "Apples cost 3, pears 4 and plums 5.5 each. What do apples, pears and plums cost together?"


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("socks from potatoes", "There are 3 potatoes.\nHow many socks are there?"),
        ("carrots from hens and 7", "Facts:\ncarrots = hens + 7\nQuestion: carrots?"),
        ("together, what apples, pears and plums cost", SHOP),
        ("hours that Ann works in a week", "Ann rests. How many hours does Ann work in the week?"),
        ("Compute the area of the field", "A field is 3 by 4. Compute the area of the field."),
    ],
)
def test_the_question_is_known_by_its_words(step: str, problem: str) -> None:
    assert restates(step, problem)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("price of plums", SHOP),
        ("price of apples", SHOP),
        ("potatoes", "There are 3 potatoes.\nHow many socks are there?"),
        ("number of cars", "How many carpets are there?"),
        ("anything", "How many are there?"),
        ("anything", ""),
        ("合計", "りんごが3個あります。全部でいくつですか？"),
    ],
)
def test_another_step_is_not_taken_for_it(step: str, problem: str) -> None:
    assert not restates(step, problem)


@given(st.text(), st.text())
def test_any_texts_have_an_answer(step: str, problem: str) -> None:
    assert restates(step, problem) in {True, False}
