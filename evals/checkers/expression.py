"""Expressions that must use given numbers and reach a target."""

from __future__ import annotations

import ast
import re
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["ExpressionChecker", "value_of"]

_LONGEST: Final = 200
_WRITTEN: Final = re.compile(r"[\d+\-*/() ]+")
_STEP: Final = re.compile(r"(\d+) ?([-+*/]) ?(\d+) ?= ?(\d+)")
_SPELLINGS: Final = {
    "\\left": "",
    "\\right": "",
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "[": "(",
    "]": ")",
    "$": "",
    "`": "",
}
_SIGNS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


class ExpressionChecker(Checker, name="expression"):
    """An expression over given numbers, each used once, whose value is the target.

    The problem's `extra` has `numbers`, `target` and `signs`. Instead of an expression, lines like
    `3 + 5 = 8` count that lead from the numbers to the target and use all of them, at the end of
    the completion.
    """

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Evaluate exactly; nothing is run as code.

        Raises:
            CheckFailed: If the problem does not say which numbers and target.
        """
        numbers, target = example.extra.get("numbers"), example.extra.get("target")
        if not isinstance(numbers, list) or not isinstance(target, int):
            raise CheckFailed("the problem's extra has no numbers and target")
        if answer is None:
            return False
        signs = str(example.extra.get("signs", "+-*/"))
        found = value_of(answer, signs)
        if found is not None and found == (Fraction(target), Counter(numbers)):
            return True
        return _stepwise(text, Counter(numbers), target, signs)


def value_of(expression: str, signs: str = "+-*/") -> tuple[Fraction, Counter[int]] | None:
    """Return the value of an expression and the numbers it uses; None if it is none.

    >>> value_of("(1 + 3) * 6 = 24")
    (Fraction(24, 1), Counter({1: 1, 3: 1, 6: 1}))
    """
    for spelling, sign in _SPELLINGS.items():
        expression = expression.replace(spelling, sign)
    expression = expression.partition("=")[0].strip().rstrip(".")
    if len(expression) > _LONGEST or not _WRITTEN.fullmatch(expression):
        return None
    try:
        tree = ast.parse(expression, mode="eval")
        used: Counter[int] = Counter()
        return _evaluated(tree.body, signs, used), used
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _evaluated(node: ast.expr, signs: str, used: Counter[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used[node.value] += 1
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and (sign := _SIGNS.get(type(node.op), " ")) in signs:
        left, right = (_evaluated(side, signs, used) for side in (node.left, node.right))
        return _applied(left, sign, right)
    raise ValueError("no arithmetic of whole numbers with these signs")


def _applied(left: Fraction, sign: str, right: Fraction) -> Fraction:
    if sign == "/":
        return left / right
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def _stepwise(text: str, numbers: Counter[int], target: int, signs: str) -> bool:
    """Whether the last lines that are steps lead to the target and use up the numbers."""
    steps: list[Any] = [_STEP.fullmatch(line.strip()) for line in text.strip().splitlines()]
    wanted = sum(numbers.values()) - 1
    while steps and steps[-1] is None:  # a line with the answer may follow
        steps.pop()
    last = steps[-wanted:]
    if wanted < 1 or len(last) < wanted or None in last:
        return False
    pool = numbers.copy()
    for step in last:
        left, right, result = (int(step[group]) for group in (1, 3, 4))
        pool.subtract((left, right))
        if step[2] not in signs or min(pool.values()) < 0:
            return False
        if step[2] == "/" and right == 0:
            return False
        if _applied(Fraction(left), step[2], Fraction(right)) != result:
            return False
        pool[result] += 1
    return +pool == Counter([target])
