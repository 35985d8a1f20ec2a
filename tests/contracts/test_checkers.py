"""What every registered checker must do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tts import Problem
from tts.evals.checkers import Checker, CheckFailed
from tts.evals.checkers.code import allow_code_execution
from tts.evals.tasks import Example
from tts.toolboxes import allow_tools

pytestmark = pytest.mark.anyio


class Case(NamedTuple):
    right: str
    """The example's."""
    accepted: tuple[str, ...]
    refused: tuple[str, ...]
    extra: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})


CASES: dict[str, Case] = {
    "numeric": Case("1200", ("1200", "$1,200", "1200.0"), ("1201", "twelve", "-1200", "")),
    "choice": Case("B", ("b", "(B)", "B.", "**B**"), ("A", "BC", "")),
    "exact": Case("Paris", ("paris", " Paris. "), ("Pari", "Paris France", "")),
    "regex": Case(r"\d{3}", ("123",), ("12", "1234", "")),
    "equivalent": Case("1/2", ("0.5", r"\frac{1}{2}", "50%"), ("2", "")),
    "approximate": Case("3200", ("3000", "3,500 km", "3200.0"), ("2800", "many", "")),
    "math_verify": Case(
        r"\{1, 2, x+1\}", (r"\{1, 2, x+1\}", r"\{1 + x, 2, 1\}"), ("2", r"\{1, 2\}", "")
    ),
    "code": Case(
        "assert plus(1, 2) == 3",
        ("def plus(a, b):\n    return a + b",),
        ("def plus(a, b):\n    return a - b", "def minus(a): ...", "def plus(", "exit()", ""),
    ),
    "function": Case(
        "7",
        ("7",),
        ("8", ""),
        settings={"path": "tests.contracts.test_checkers.says_so"},
    ),
    "function_calls": Case(
        json.dumps([{"a.b": {"x": [1, 2], "y": ["one", ""]}}, {"c": {}}]),
        (
            "[a.b(x=1, y='One.'), c()]",
            "c()\na.b(x=2)",
            '[{"name": "c", "arguments": {}}, {"name": "a.b", "arguments": {"x": 2.0}}]',
        ),
        ("[a.b(x=1)]", "[a.b(x=3), c()]", "[a.b(1), c()]", "[a.b(x=True), c()]", "c() + c()", ""),
    ),
    "expression": Case(
        "(1 + 3) * 6",
        ("6 * (3 + 1)", "(1+3)*6 = 24", r"\left(1 + 3\right) \times 6", "[1+3]×6"),
        ("24", "4 * 6", "1 * 3 * 6", "(1 + 3) * 6 * 1", "3 * 6 + 6", "__import__('os')", "(1+", ""),
        {"numbers": [1, 3, 6], "target": 24, "signs": "+-*/"},
    ),
}
NEEDS_EXTRA = {"reasoning_gym"}  # `make reasoning-test`
every_checker = pytest.mark.parametrize("name", sorted(set(Checker.names()) - NEEDS_EXTRA))


def says_so(answer: str, example: Example) -> bool:
    return answer == example.answer


def checker_of(name: str) -> Checker:
    with allow_code_execution(), allow_tools("tests.contracts.test_checkers"):
        return Checker.parse({"use": name, **CASES[name].settings})


def example_of(name: str) -> Example:
    case = CASES[name]
    return Example(id="1", problem=Problem(text="?"), answer=case.right, extra=dict(case.extra))


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
async def test_settings_round_trip_and_say_what_they_mean(name: str) -> None:
    checker = checker_of(name)
    with allow_code_execution(), allow_tools("tests.contracts.test_checkers"):
        assert Checker.parse(json.loads(json.dumps(checker.settings()))) == checker
    fields = type(checker).model_json_schema()["properties"].values()
    assert all(field.get("description") for field in fields)
