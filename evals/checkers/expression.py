"""Expressions that must use given numbers and reach a target."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, NamedTuple

from tts.evals.checkers.arithmetic import applied, is_number, tokens_of, value_of
from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["ExpressionChecker"]


class ExpressionChecker(Checker, name="expression"):
    """An expression over given numbers, each used once, whose value is the target.

    The problem's `extra` has `numbers`, `target` and `signs`. The expression is plain or LaTeX,
    alone or in an equation such as `24 = ...`, of which the side that is more than a number counts,
    the first if there are several. Every multiplication has a sign. Instead of an expression, lines
    like `3 + 5 = 8` count that lead from the numbers to the target and use all of them, at the end
    of the completion.
    """

    def misfit(self, example: Example) -> str | None:
        """Refuse a problem that does not say which numbers and target, or none that can be used."""
        numbers, target = example.extra.get("numbers"), example.extra.get("target")
        if not isinstance(numbers, list) or type(target) is not int:
            return (
                "the problem's extra has no numbers and target: a list of whole numbers and one; "
                "of a file, keep: [numbers, target]"
            )
        if not numbers or not all(type(each) is int and is_number(str(each)) for each in numbers):
            return "numbers are whole and not negative, and there is at least one"
        signs = example.extra.get("signs", "+-*/")
        if not isinstance(signs, str) or not {*signs} <= {*"+-*/"}:
            return "signs are a text of the signs + - * / that may be used"
        return None

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Evaluate exactly; nothing is run as code.

        Raises:
            CheckFailed: If the problem does not say which numbers and target.
        """
        if reason := self.misfit(example):
            raise CheckFailed(reason)
        if answer is None:
            return False
        numbers, target = example.extra["numbers"], example.extra["target"]
        signs = example.extra.get("signs", "+-*/")
        found = value_of(answer, signs)
        if found is not None and found == (Fraction(target), Counter(numbers)):
            return True
        return _stepwise(text, Counter(numbers), target, signs)


def _stepwise(text: str, numbers: Counter[int], target: int, signs: str) -> bool:
    """Whether the last lines that are steps lead to the target and use up the numbers."""
    wanted = sum(numbers.values()) - 1
    lines = reversed(text.strip().splitlines())
    steps = dropwhile(lambda step: step is None, map(_step, lines))  # the answer may follow
    last = [*islice(steps, max(wanted, 0))][::-1]
    if wanted < 1 or len(last) < wanted:
        return False
    pool = numbers.copy()
    for step in last:
        if step is None or step.sign not in signs or not step.holds():
            return False
        pool.subtract((step.left, step.right))
        if min(pool.values()) < 0:
            return False
        pool[step.result] += 1
    return +pool == Counter([target])


class _Step(NamedTuple):
    """A line such as `3 + 5 = 8`."""

    left: int
    sign: str
    right: int
    result: int

    def holds(self) -> bool:
        if self.sign == "/" and self.right == 0:
            return False
        return applied(Fraction(self.left), self.sign, Fraction(self.right)) == self.result


def _step(line: str) -> _Step | None:
    tokens = tokens_of(line, 5)
    if tokens is None or len(tokens) != 5 or tokens[3] != "=" or tokens[1] not in "+-*/":
        return None
    if not all(map(is_number, tokens[::2])):
        return None
    left, right, result = map(int, tokens[::2])
    return _Step(left, tokens[1], right, result)
