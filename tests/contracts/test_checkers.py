"""What every registered checker must do."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tts import Problem
from tts.evals.checkers import Checker, CheckFailed
from tts.evals.tasks import Example

pytestmark = pytest.mark.anyio


class Case(NamedTuple):
    right: str
    """The example's."""
    accepted: tuple[str, ...]
    refused: tuple[str, ...]
    extra: dict[str, Any] = {}
    settings: dict[str, Any] = {}


CASES: dict[str, Case] = {
    "numeric": Case("1200", ("1200", "$1,200", "1200.0"), ("1201", "twelve", "-1200", "")),
    "choice": Case("B", ("b", "(B)", "B.", "**B**"), ("A", "BC", "")),
    "exact": Case("Paris", ("paris", " Paris. "), ("Pari", "Paris France", "")),
    "regex": Case(r"\d{3}", ("123",), ("12", "1234", "")),
    "equivalent": Case("1/2", ("0.5", r"\frac{1}{2}", "50%"), ("2", "")),
    "expression": Case(
        "(1 + 3) * 6",
        ("6 * (3 + 1)", "(1+3)*6 = 24", r"\left(1 + 3\right) \times 6", "[1+3]×6"),
        ("24", "4 * 6", "1 * 3 * 6", "(1 + 3) * 6 * 1", "3 * 6 + 6", "__import__('os')", "(1+", ""),
        {"numbers": [1, 3, 6], "target": 24, "signs": "+-*/"},
    ),
}
every_checker = pytest.mark.parametrize("name", Checker.names())


def checker_of(name: str) -> Checker:
    return Checker.parse({"use": name, **CASES[name].settings})


def example_of(name: str) -> Example:
    case = CASES[name]
    return Example(id="1", problem=Problem(text="?"), answer=case.right, extra=case.extra)


@every_checker
async def test_right_answer_is_accepted(name: str) -> None:
    checker, example = checker_of(name), example_of(name)
    for answer in CASES[name].accepted:
        assert await checker.check(answer, f"Answer: {answer}", example), answer


@every_checker
async def test_wrong_answer_is_refused(name: str) -> None:
    checker, example = checker_of(name), example_of(name)
    for answer in CASES[name].refused:
        assert not await checker.check(answer, f"Answer: {answer}", example), answer


@every_checker
async def test_abstention_is_wrong_whatever_the_text(name: str) -> None:
    assert not await checker_of(name).check(None, CASES[name].accepted[0], example_of(name))


@every_checker
async def test_odd_answers_are_judged_or_fail_the_check(name: str) -> None:
    checker, example = checker_of(name), example_of(name)
    for answer in ("\x00", "9" * 5000, "(" * 5000, "1e999999", "½", "\ud800", "\\frac{" * 200):
        try:
            assert not await checker.check(answer, answer, example), answer[:20]
        except CheckFailed as failed:
            assert "\n" not in str(failed)


@every_checker
def test_settings_round_trip(name: str) -> None:
    checker = checker_of(name)
    assert Checker.parse(json.loads(json.dumps(checker.settings()))) == checker
