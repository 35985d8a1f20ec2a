"""Countdown: reach a target with given numbers, each used once."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import Annotated, Final

from pydantic import Field

from tts.answers import AnswerFormat
from tts.backends.reference.training.world import split_of as side_of_training
from tts.evals.checkers.base import Checker
from tts.evals.checkers.expression import ExpressionChecker
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import DrawnTask, identity
from tts.problem import Problem

__all__ = ["Countdown", "puzzle", "reached"]

_HIGHEST: Final = 99


class Countdown(DrawnTask, name="countdown"):
    """Reach a target with each number once, by + - * and exact /; many answers are right.

    Every puzzle has a solution by + - and * whose intermediate values lie in 0..99. With three
    numbers, puzzles are ones that the bundled model was not trained on; it knows them by another
    prompt than the one strategies ship, so it hardly solves any here.
    """

    numbers: Annotated[int, Field(ge=3, le=6)] = 3
    """How many are given."""
    highest: Annotated[int, Field(ge=4, le=99)] = 25
    """The largest number given; the smallest is 2."""

    @property
    def title(self) -> str:
        """The name with the count of numbers."""
        return f"countdown {self.numbers}"

    @property
    def series(self) -> str:
        """What is drawn differs by both settings."""
        return f"countdown:{self.numbers}:{self.highest}"

    @property
    def checker(self) -> Checker:
        """The expression or the steps, exactly."""
        return ExpressionChecker()

    def draw(self, rng: random.Random) -> Example:
        """Draw numbers and join them at random until the target lies in range."""
        while True:
            numbers = [rng.randint(2, self.highest) for _ in range(self.numbers)]
            made = _joined(numbers, rng)
            if made is None or made[0] in numbers:
                continue
            if self.numbers > 3 or side_of_training(sorted(numbers), made[0]) == "test":
                break
        target, solution = made
        return puzzle(numbers, target, solution, signs="+-*/")  # the text forbids none


def puzzle(numbers: list[int], target: int, solution: str, *, signs: str) -> Example:
    """Return the example that asks to reach a target.

    Args:
        numbers: In the order shown.
        target: To be reached.
        solution: An expression that reaches it; others are right as well.
        signs: Operations allowed, of `+-*/`.
    """
    shown = " ".join(map(str, numbers))
    rules = "Use each number once to reach the target."
    return Example(
        id=identity(sorted(numbers), target),
        problem=Problem(
            text=f"Numbers: {shown}\nTarget: {target}\n\n{rules}",
            answer_format=AnswerFormat(kind="text"),
        ),
        answer=solution,
        extra={"numbers": numbers, "target": target, "signs": signs},
    )


def _joined(numbers: list[int], rng: random.Random) -> tuple[int, str] | None:
    """Join numbers two by two; None where a value leaves 0..99."""
    pool = [(number, str(number)) for number in numbers]
    while len(pool) > 1:
        one, two = (pool.pop(rng.randrange(len(pool))) for _ in range(2))
        sign = rng.choice("+-*")
        value = {"+": one[0] + two[0], "-": one[0] - two[0], "*": one[0] * two[0]}[sign]
        if not 0 <= value <= _HIGHEST:
            return None
        pool.append((value, f"({one[1]} {sign} {two[1]})"))
    return pool[0][0], pool[0][1].removeprefix("(").removesuffix(")")


@lru_cache(maxsize=4096)
def reached(numbers: tuple[int, ...], target: int) -> str | None:
    """Return an expression that uses each number once and has the target's value, or None.

    By + - * and exact division; all ways are tried, in a fixed order.
    """
    return _search([(Fraction(number), str(number)) for number in numbers], Fraction(target))


def _search(pool: list[tuple[Fraction, str]], target: Fraction) -> str | None:
    if len(pool) == 1:
        value, text = pool[0]
        return text.removeprefix("(").removesuffix(")") if value == target else None
    for one, two in combinations(range(len(pool)), 2):
        rest = [item for index, item in enumerate(pool) if index not in (one, two)]
        for joined in _ways(pool[one], pool[two]):
            if found := _search([*rest, joined], target):
                return found
    return None


def _ways(one: tuple[Fraction, str], two: tuple[Fraction, str]) -> list[tuple[Fraction, str]]:
    (a, left), (b, right) = one, two
    ways = [
        (a + b, f"({left} + {right})"),
        (a * b, f"({left} * {right})"),
        (a - b, f"({left} - {right})"),
        (b - a, f"({right} - {left})"),
    ]
    ways += [(a / b, f"({left} / {right})")] if b else []
    ways += [(b / a, f"({right} / {left})")] if a else []
    return ways
