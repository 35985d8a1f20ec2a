from __future__ import annotations

import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import AnswerFormat, equivalence
from tts.answers import canonical, equivalent


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("auto", "3 + 4 = 7\nAnswer: 7", "7"),
        ("auto", "**Answer:** 42 apples.", "42 apples"),
        ("auto", "The final answer is: $12$", "$12$"),
        ("auto", r"so \boxed{\frac{3}{4}} it is", r"\frac{3}{4}"),
        ("auto", r"Answer: 3, no: \boxed{4}", "4"),
        ("auto", r"\boxed{3}, that is, Answer: 4", "3"),
        ("auto", "\\boxed{3}\n**Final answer:** 4", "4"),
        ("auto", "\\boxed{44}\nso our answer is correct", "44"),
        ("auto", r"\boxed{5}. Thus the answer is as above", "5"),
        ("auto", r"\boxed{5}, or rather \boxed{", "5"),
        ("auto", "\\boxed{5}\nAnswer:", "5"),
        ("auto", r"\boxed{\left\{ 1, 2 \right.}", r"\left\{ 1, 2 \right."),
        ("auto", "The answer is:\n5", "5"),
        ("auto", "3 + 2 = 5\nAnswer: **", "5"),
        ("auto", "Answer:\n\n\\[\n\\frac{14}{3}\n\\]", r"\frac{14}{3}"),
        ("auto", "Answer:\nLet us see what we have: 3 + 4 = 7", "7"),
        ("auto", "9 - 2 = 7 eggs\n#### 7", "7"),
        ("auto", "#### 7\nThanks for asking, 3 times", "7"),
        ("auto", "#### Step 1\nwe get 5", "5"),
        ("auto", "so\n#### x+1", "x+1"),
        ("auto", "Answer: 5 (since 2+3 = 5; 9 left)", "5"),
        ("auto", "Answer: 5 (since 2+3=5)", "5"),
        ("auto", "The answer is 5 because 4 is too few.", "5"),
        ("auto", "Answer: 5, so 4 is wrong", "5"),
        ("auto", "Answer: 5 as computed above", "5"),
        ("auto", "Answer: 3 (mod 5)", "3 (mod 5)"),
        ("text", "Answer: London, since it rains", "London, since it rains"),
        ("auto", "Answer: 1\nWait.\nAnswer: 2", "2"),
        ("auto", "we get 5 and then 12", "12"),
        ("auto", "x = 5-3", "3"),
        ("auto", "it costs $1,234.50", "1,234.50"),
        ("auto", "I do not know", None),
        ("auto", r"\boxed{", None),
        ("auto", "", None),
        ("number", "Answer: seven", None),
        ("number", "Answer: 7 of 9 in all", None),
        ("number", "2 + 10 = 12\nAnswer: none of 3", None),
        ("number", r"Answer: 3\sqrt{2}", None),
        ("number", r"\boxed{2\pi}", None),
        ("number", "Answer: 2x = 10", None),
        ("number", "Answer: about 12", "12"),
        ("number", "Answer: 12 (approximately)", "12"),
        ("number", "Answer: there are 12 apples", "12 apples"),
        ("number", "Answer: 2 + 3 = 5", "5"),
        ("number", r"Answer: $x=\frac{3}{4}$", "3/4"),
        ("number", "The score is 8", "8"),
        ("choice", "Answer: (B)", "B"),
        ("choice", "I choose option C.", "C"),
        ("choice", "(A) is wrong, so (D)", "D"),
        ("choice", "B", "B"),
        ("choice", "A dog barks", None),
        ("choice", "I am at a loss", None),
        ("choice", "Answer: I think B", "B"),
        ("choice", "Answer: I think it is a dog", None),
        ("choice", "Answer: A dog, I guess", None),
        ("choice", "Answer: I think A", "A"),
        ("choice", "Answer: B or C", None),
        ("choice", "Answer: either (B) or (C)", None),
        ("choice", "Answer: B, because (A) is wrong", "B"),
        ("choice", "Answer: **B) Paris**", "B"),
        ("choice", r"\boxed{\text{(C)}}", "C"),
        ("choice", "Answer: b", "B"),
        ("choice", "Answer: A - Paris", "A"),
        ("choice", "B\n\nExplanation: (A) is wrong", "B"),
        ("choice", "a)\nAnswer: C", "C"),
        ("choice", "**B**", "B"),
        ("choice", "B)", "B"),
        ("choice", "B.", "B"),
        ("choice", "I think it is B.", "B"),
        ("choice", "The correct choice is: C", "C"),
        ("text", "Answer: Paris", "Paris"),
        ("text", "thinking\nParis", "Paris"),
    ],
)
def test_extract_finds_the_answer(kind: str, text: str, found: str | None) -> None:
    assert AnswerFormat.model_validate(kind).extract(text) == found


@pytest.mark.parametrize("kind", ["auto", "number", "choice", "text"])
def test_extract_from_a_cut_off_text_needs_a_marker(kind: str) -> None:
    reader = AnswerFormat.model_validate(kind)
    assert reader.extract("first 5, then (B) and 12", complete=False) is None
    assert reader.extract("Answer: B 3", complete=False) is not None


@pytest.mark.parametrize(
    ("pattern", "found"),
    [(r"=> (\d+)", "4"), (r"=> (?P<answer>\d)", "4"), (r"\d", "4"), (r"<(.*)>", None)],
)
def test_extract_pattern_takes_the_last_match(pattern: str, found: str | None) -> None:
    assert AnswerFormat(pattern=pattern).extract("=> 3 => 4") == found


def test_pattern_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        AnswerFormat(pattern="(")


@pytest.mark.parametrize(
    ("same", "key"),
    [
        (
            [
                "7",
                "x = 7",
                "7.0",
                "07",
                "+7",
                "7 apples",
                "$7",
                r"\$7",
                "7.",
                "**7**",
                "7 km/h",
                "7 m",
            ],
            "7",
        ),
        (["-3", "−3", "- 3", "-3.0"], "-3"),  # a minus sign
        (["1/2", "0.5", ".5", "50%", r"50\%", "50 percent", r"\frac{1}{2}", r"\dfrac12"], "1/2"),
        (["1,200.50", "$1200.5", "1200.50 dollars", "2401/2"], "2401/2"),
        (["1 1/2", "1.5", "3/2", "150%", r"1\frac{1}{2}", r"1\dfrac12"], "3/2"),
        ([r"-3\frac{3}{4}", "-3.75"], "-15/4"),
        (["24", "2 dozen", "2 dozen eggs"], "24"),
        (["200", "2 hundred"], "200"),
        (["2 trillion", "2 million million dollars", "2,000,000,000,000"], "2000000000000"),
        ([r"10,\!080", "10080", r"\(10,080\)"], "10080"),
        ([r"\dfrac{x}{2}", r"\frac{x}{2}"], r"\frac{x}{2}"),
        (["Route 66", "route 66"], "route66"),
        ([r"\cot x", r"$\cot  x$"], r"\cot x"),
        (["1500", "1.5e3", r"1.5 \times 10^{3}", "1.5 thousand"], "1500"),
        (["(B)", "B", "b.", " B "], "b"),
        ([r"\text{Evelyn}", "Evelyn", "evelyn."], "evelyn"),
        (["90^\\circ", "90°", "90"], "90"),
        (["–5", "$–5$", "-5"], "-5"),  # an en dash
        ([r"\text{1\,200}", "1 200", "1\u202f200 apples", "x = 1 200", "$1{,}200$"], "1200"),
    ],
)
def test_canonical_brings_spellings_together(same: list[str], key: str) -> None:
    assert {canonical(text) for text in same} == {key}


@pytest.mark.parametrize(
    "different",
    [
        ["50%", "50"],
        ["2x", "2"],
        ["3 or 4", "3"],
        ["(1,2)", "12", "1.2"],
        ["1/0", "1", "0"],
        ["3 pi", "3"],
        [r"2\sqrt{3}", "2"],
        ["5 million", "5"],
        ["x", "y", "x+y"],
        ["2", "2 squared", "2 cubed", "2 halves", "2 thirds", "2 factorial", "2 less", "2 root"],
        ["5", "5 am", "5 pm"],
        ["50 cents", "50 dollars"],
        ["50 percent of x", "50%"],
        ["2k", "2", "2m"],
        ["X", "x"],
        ["X+1", "x+1"],
        [r"\Gamma", r"\gamma"],
        [r"x^\frac{1}{2}", "x^1/2"],
        [r"\sqrt\frac12", r"\sqrt1/2"],
        ["5²", "5"],
        ["1 200 3", "1 20", "1 2000", "0 200", "12003", "120", "12000", "0200"],
        [r"1\,200\,3", r"1{,}200\,300", "12003", "1200300"],
        [r"\sqrt3\,100", r"\sqrt3100"],
        ["1\u00a0200/3", "1200/3"],
        ["3–5", "-2", "2"],
    ],
)
def test_canonical_keeps_answers_apart(different: list[str]) -> None:
    assert len({canonical(text) for text in different}) == len(different)


numbers = st.fractions(max_denominator=10**6).filter(lambda f: abs(f) < 10**12)


@given(numbers)
def test_canonical_of_a_fraction_is_itself(value: Fraction) -> None:
    assert canonical(f"{value.numerator}/{value.denominator}") == str(value)


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_canonical_ignores_how_a_number_is_written(value: int, zeros: int) -> None:
    ways = {f"{value:,}", f"{value}.{'0' * zeros}" if zeros else str(value), f"{value} apples"}
    assert {canonical(way) for way in ways} == {str(value)}


SEPARATORS = (",", r"\,", "{,}", "\u202f", "\u00a0", "\u2009")


@given(
    st.integers(1000, 10**13),
    st.sampled_from([*SEPARATORS, " "]),
    st.sampled_from(["{}", "${}$", "**{}**", "-{}", "–{}", "${}", "{}.", "n = {}", "{}.50"]),
)
def test_separators_of_thousands_fall_away(value: int, separator: str, dressing: str) -> None:
    grouped = dressing.format(f"{value:,}".replace(",", separator))
    assert canonical(grouped) == canonical(dressing.format(value))
    for kind in ("number", "auto"):
        found = AnswerFormat(kind=kind).extract(f"It is 3.\nAnswer: {grouped}")
        assert found is not None and canonical(found) == canonical(grouped)


@given(st.integers(1000, 10**13), st.sampled_from(SEPARATORS))
def test_last_number_is_taken_with_its_thousands(value: int, separator: str) -> None:
    grouped = f"{value:,}".replace(",", separator)
    found = AnswerFormat().extract(f"Of 12 there are {grouped} left.")
    assert found is not None and canonical(found) == str(value)


@given(st.integers(0, 999), st.integers(0, 99), st.sampled_from([*SEPARATORS[1:], " "]))
def test_what_are_no_groups_of_three_digits_stay_two_numbers(
    one: int, two: int, separator: str
) -> None:
    assert canonical(f"{one}{separator}{two}") != canonical(f"{one}{two}")


@given(st.decimals(-(10**6), 10**6, places=4))
def test_canonical_of_a_percentage_is_a_hundredth(value: object) -> None:
    assert canonical(f"{value}%") == str(Fraction(str(value)) / 100)


PIECES = st.sampled_from(
    [
        *"ab12.,;:$*_'\"`(){}^%/-~+= \\A€",
        "\\text{",
        "\\frac",
        "\\left",
        "1,200",
        ", 200",
        "−",
        "\\%",
        "\\,000",
        "{,}000",
        "\u202f000",
        " 000",
        "–",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40))
def test_canonical_is_idempotent(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once


def written(value: Fraction) -> st.SearchStrategy[str]:
    """Ways in which people and models write a decimal number."""
    thousandths = value * 1000
    assert thousandths.denominator == 1
    sign, whole = ("-" if value < 0 else ""), abs(thousandths.numerator)
    point = f"{whole // 1000}.{whole % 1000:03}"
    commas = f"{whole // 1000:,}.{whole % 1000:03}"
    plain = [
        f"{sign}{point}",
        f"{sign}{point}000",
        f"{sign}{commas}",
        f"{sign}${commas}",
        f"${sign}{point}",
        f"{sign}{point} dollars",
        f"{sign}{point} km",
        f"{sign}{whole}/1000",
        f"{sign}{whole // 1000} {whole % 1000}/1000",
        rf"{sign}\frac{{{whole}}}{{1000}}",
        f"{sign}{Fraction(whole, 10)}%",
        rf"{sign}{Fraction(whole, 10)}\%",
        f"{sign}{Fraction(whole, 10)} percent",
        f"{sign}{whole}e-3",
        rf"{sign}{whole} \times 10^{{-3}}",
    ]
    dressings = ["{}", "**{}**", "${}$", "{}.", "  {} ", "`{}`", r"\text{{{}}}", r"{}\,", "n = {}"]
    dressed = st.tuples(st.sampled_from(plain), st.sampled_from(dressings))
    flat = dressed.filter(lambda pair: "{" not in pair[0] or "text" not in pair[1])
    return flat.map(lambda pair: pair[1].format(pair[0]))


@given(st.integers(-(10**9), 10**9).map(lambda n: Fraction(n, 1000)), st.data())
def test_a_number_has_one_canonical_form(value: Fraction, data: st.DataObject) -> None:
    assert canonical(data.draw(written(value))) == str(value)


@given(st.text(max_size=30), st.text(max_size=30))
def test_equivalence_is_reflexive_and_symmetric(one: str, other: str) -> None:
    first, second = canonical(one), canonical(other)
    assert equivalent(first, first)
    assert equivalent(first, second) == equivalent(second, first)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x+1", "1+x", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        ("x+1", "x+2", False),
        ("1/2", "1/3", False),
        ("paris", "london", False),
        ("paris", "7", False),
        ("socks = boxes = 7", "7", False),
        ("x = y", "y", False),
        ("x < 3", "3", False),
        ("y = 2x+3", "y = 3+2x", True),
        ("y = 2x+3", "z = 2x+3", False),
        ("X+1", "1+x", False),
        ("(1,2)", "2,1", False),
        ("(1,2)", r"x\in(1,2)", False),
        ("(1,2)", r"\{1,2\}", False),
        ("101_2", "101", False),
        ("5²", "5", False),
        ("2 or 6", "3 or 4", False),
        (r"\sqrt{2}", "1.414214", False),
    ],
)
def test_equivalence_of_expressions(one: str, other: str, same: bool) -> None:
    assert equivalent(canonical(one), canonical(other)) is same


@pytest.mark.parametrize(
    "hostile", ["10^{10^{10}}", "9" * 5000, "((" * 400 + "1", "2^{99999999}", "{" * 300, "500!"]
)
def test_hostile_answers_are_only_compared_as_text(hostile: str) -> None:
    key = canonical(hostile)
    assert equivalent(key, key)
    assert not equivalent(key, canonical("x+1"))
    assert AnswerFormat().extract(rf"\boxed{{{hostile}") != ""


@pytest.mark.parametrize("one", ["1 2", "3, 400", "x = 3 4"])
def test_spaces_that_part_numbers_are_kept(one: str) -> None:
    assert canonical(one) != canonical(one.replace(" ", ""))


LONG = 100_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Answer: a" + "_" * LONG + "b", "a" + "_" * LONG + "b"),
        ("Answer: a" + " " * LONG + "b", "a" + " " * LONG + "b"),
        ("Answer: 7" + "*_ " * LONG, "7"),
        ("Answer" + "\n" * LONG, None),
        ("answer " * LONG + ": 7", "7"),
        (r"\boxed{" * LONG + "7", "7"),
        ("{" * LONG + r"\boxed{7}", "7"),
        (r"\boxed{" + "{" * LONG + "7" + "}" * LONG + "}", "{" * LONG + "7" + "}" * LONG),
        ("9" * LONG, "9" * LONG),
        ("-" * LONG + "7", "-7"),
        ("#### \n" * LONG, None),
        ("answer is " * LONG + "7", "7"),
        (r"\boxed{5}" + "\nAnswer: *" * (LONG // 10), "5"),
        ("Answer: 5" + " (" * LONG, "5" + " (" * LONG),
        ("answer:\n" * LONG + "7", "7"),
    ],
    ids=range(15),
)
def test_extraction_takes_a_long_text_in_its_stride(text: str, found: str | None) -> None:
    assert AnswerFormat().extract(text) == found


@pytest.mark.parametrize(
    "piece", ["9", "(", "{", "$", r"\frac{1", r"\text{", "- ", "1,", "1/", " x", "^", "\\"]
)
def test_canonical_takes_a_long_answer_in_its_stride(piece: str) -> None:
    key = canonical(piece * (10_000 // len(piece)))
    assert not equivalent(key, "x+1")


@pytest.mark.parametrize(
    "heavy",
    [
        "{" * 14 + "x+1" + "}" * 14,
        "(" * 20 + "x+1" + ")" * 20,
        r"\binom{10^9}{5}",
        "9^{9^9}",
        "((9^{99})^{99})^{9}",
        r"\gamma(10^9)+5!",
        "9" * 40 + "x",
        r"\Gamma(99999999)",
        r"\gamma(99)",
        "2^3^4^5",
        "(x+y+z)^{60}",
    ],
)
def test_heavy_expressions_never_reach_the_algebra_system(heavy: str) -> None:
    assert not equivalence._tame(canonical(heavy))
    assert not equivalent(canonical(heavy), "x+1")


def test_without_the_extra_only_equal_forms_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    assert not equivalent("y+41", "41+y")
    assert equivalent("y+41", "y+41")
