"""Expressions as models write them, in plain text and LaTeX."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import AnswerFormat, Problem
from tts.evals.checkers.arithmetic import tokens_of, value_of
from tts.evals.checkers.expression import ExpressionChecker
from tts.evals.tasks import Example


def puzzle(numbers: list[int], target: int = 24, signs: str = "+-*/") -> Example:
    extra = {"numbers": numbers, "target": target, "signs": signs}
    return Example(id="1", problem=Problem(text="?"), answer="", extra=extra)


def is_right(answer: str, wanted: Example, text: str = "") -> bool:
    return anyio.run(ExpressionChecker().check, answer, text, wanted)


@pytest.mark.parametrize(
    "answer",
    [
        "(1 + 3) * (8 - 2)",
        r"\( (1 + 3) \times (8 - 2) \)",
        r"\((1+3)\cdot(8-2)=24\)",
        "\\[\n(1 + 3) \\times (8 - 2) = 24\n\\]",
        r"\[ \left(1 + 3\right) \times \left[8 - 2\right] \].",
        "$(1+3)*(8-2)$ = $24$",
        "$$(1+3)*(8-2)=24.$$",
        "`(1 + 3) * (8 - 2)`",
        "**(1 + 3) * (8 - 2)**",
        "(1 + 3) x (8 - 2) = 24",
        "(1 + 3) X (8 - 2) = 24.",
        "24 = (1 + 3) × (8 − 2)",
        r"$24 = (1 + 3) \cdot (8 - 2)$",
        "(1 + 3) ⋅ (8 – 2) = 4 * 6 = 24",
        "[1 + 3] · {8 - 2}",
        r"\{1 + 3\} * \{8 - 2\}",
        r"\bigl(1 + 3\bigr)\,\times\,\Big(8 - 2\Big)",
        "（1 + 3）* (8 - 2)",
        r"\boxed{(1 + 3) \times (8 - 2)}",
    ],
)
def test_right_expressions_are_right_however_they_are_written(answer: str) -> None:
    assert is_right(answer, puzzle([1, 2, 3, 8]))
    assert not is_right(answer, puzzle([1, 2, 3, 8], target=23))
    assert not is_right(answer, puzzle([1, 2, 3, 8, 8]))
    assert not is_right(answer, puzzle([1, 3, 8, 6]))


@pytest.mark.parametrize(
    "answer",
    [
        "6 / (1 - 3 / 4)",
        "6 ÷ (1 − 3 ÷ 4)",
        r"6 \div (1 - 3 \div 4)",
        r"\frac{6}{1 - \frac{3}{4}}",
        r"$24 = \dfrac{6}{\left(1 - \tfrac{3}{4}\right)}$",
    ],
)
def test_fractions_are_divisions(answer: str) -> None:
    assert is_right(answer, puzzle([1, 3, 4, 6]))
    assert not is_right(answer, puzzle([1, 3, 4, 6], signs="+-*"))


@pytest.mark.parametrize(
    "answer",
    [
        "1 2 + 12",
        "1$$2 + 12",
        r"1\,2 + 12",
        r"1\(\)2 + 12",
        "1{}2 + 12",
        "1`2` + 12",
        "1\n2 + 12",
        "1_2 + 12",
        "1² + 23",
        "１２ + 12",
        "012 + 12",
        "4(2 + 4)",
        "(2 + 2)(2 + 4)",
        r"\frac{8}{1}3",
        r"3\frac{8}{1}",
        r"\frac81 * 3",
        "4! * 1",
        "2^3 * 3",
        "2 ** 3 * 3",
        "-1 + 25",
        "(25) + (-1)",
        "48 // 2",
        "1 / (1 - 1)",
        r"\frac{1}{1 - 1}",
        "(4 + 2] * 4",
        "((4 + 2) * 4",
        "4 + 2) * 4",
        "8 * 3 *",
        "8.0 * 3",
        "8 * 3 or 4 * 6",
        "8 * 3, 4 * 6",
        "24 =",
        "= 24",
        "",
        ".",
        r"\frac",
        r"\frac{8}",
        "__import__('os')",
    ],
)
def test_what_joins_digits_or_leaves_a_sign_out_is_no_expression(answer: str) -> None:
    assert value_of(answer) is None


def test_one_side_only_is_judged() -> None:
    """No list of tries: the first side that is more than a number, right or wrong."""
    assert not is_right("24 = 8 * 2 = 8 * 3", puzzle([8, 3]))
    assert not is_right("8 * 2 = 8 * 3 = 24", puzzle([8, 3]))


SPELLINGS = {
    "+": ["+", "＋"],
    "-": ["-", "−", "–"],
    "*": ["*", "x", "×", "⋅", "·", r"\times ", r"\cdot "],
    "/": ["/", "÷", r"\div "],
}
BRACKETS = [("(", ")"), ("[", "]"), ("{", "}"), (r"\left(", r"\right)"), (r"\{", r"\}")]


def drawn(rng: random.Random, numbers: list[int]) -> tuple[str, Fraction]:
    """An expression over all the numbers in any spelling, and its value."""
    if len(numbers) == 1:
        return str(numbers[0]), Fraction(numbers[0])
    cut, sign = rng.randrange(1, len(numbers)), rng.choice("+-*/")
    (left, one), (right, other) = drawn(rng, numbers[:cut]), drawn(rng, numbers[cut:])
    if sign == "/" and not other:
        sign = "-"
    values = {"+": one + other, "-": one - other, "*": one * other}
    value = values[sign] if sign in values else one / other
    if sign == "/" and rng.random() < 0.5:
        return rf"\frac{{{left}}}{{{right}}}", value
    opened, closed = rng.choice(BRACKETS)
    blank = rng.choice(["", " ", r"\,"])
    written = f"{left}{blank}{rng.choice(SPELLINGS[sign])}{blank}{right}"
    return f"{opened}{written}{closed}", value


@given(st.integers(), st.lists(st.integers(0, 99), min_size=1, max_size=6))
def test_every_spelling_has_the_same_value(seed: int, numbers: list[int]) -> None:
    rng = random.Random(seed)
    written, value = drawn(rng, numbers)
    opened, closed = rng.choice([("", ""), (r"\(", r"\)"), ("\\[\n", "\n\\]"), ("$", "$")])
    assert value_of(f"{opened}{written}{closed}.") == (value, Counter(numbers))
    if len(numbers) > 1:
        assert value_of(f"{opened}{written} = 5{closed}") == (value, Counter(numbers))
        assert value_of(f"{opened}5 = {written}{closed}") == (value, Counter(numbers))


@given(st.text(alphabet="0123456789+-*/()[]{}=.$\\ xfrac", max_size=60))
def test_no_text_raises(text: str) -> None:
    found = value_of(text)
    assert found is None or sum(found[1].values()) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "1" * 10**6,
        "1+" * 10**6 + "1",
        "(" * 150 + "1" + ")" * 150,
        "[" * 10**6,
        r"\frac{" * 60 + "1",
        "1*" * 150 + "1",
        "9" * 19,
        "=" * 10**6,
    ],
)
def test_huge_texts_are_given_up(text: str) -> None:
    assert value_of(text) is None
    assert not is_right("24", puzzle([8, 3]), "\n".join([text[:5000]] * 50))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"\( 3 + 4 = 7 \)" + "\n" + r"\( 2 \times 7 = 14 \)", True),
        ("$3 + 4 = 7$\n$7 ⋅ 2 = 14$.\nAnswer: 14", True),
        ("3 + 4 = 7\n7 x 2 = 14", True),
        (r"3 + 4 = 7" + "\n" + r"\( 7 \times 7 = 14 \)", False),
        ("3 + 4 = 7\n7 2 = 14", False),
        ("3 + 4 = 07\n7 * 2 = 14", False),
    ],
)
def test_steps_are_read_in_the_same_spellings(text: str, verdict: bool) -> None:
    answer = AnswerFormat(kind="text").extract(text) or ""
    assert is_right(answer, puzzle([2, 3, 4], target=14), text) is verdict


def test_tokens_keep_what_is_no_arithmetic() -> None:
    assert tokens_of(r"so \pi \ne 3.") == ["s", "o", r"\pi", r"\ne", "3"]
