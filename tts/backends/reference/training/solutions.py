"""Worked solutions, and wrong ones with exact labels.

A draft is right in all its lines and in its answer, or wrong in at least one line and in its
answer; nothing lies between. A line is wrong if it copies a definition badly, uses a value that
no line above gives, or miscalculates; a line that only carries an earlier error on is right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tts.backends.reference.training.world import SIGNS, Operation, Problem, apply

__all__ = ["Draft", "answer_of", "draft", "line", "solution", "wrong_number"]

_ANSWER = re.compile(r"Answer: (\d+)")


@dataclass(frozen=True, slots=True)
class Draft:
    """A solution that may be wrong."""

    lines: tuple[str, ...]
    faulty: frozenset[int]
    """Indices of the wrong lines."""
    answer: int
    order: tuple[str, ...]
    """The quantity of each line."""

    @property
    def right(self) -> bool:
        """Whether all of it holds."""
        return not self.faulty

    @property
    def text(self) -> str:
        """The draft as a model writes it."""
        return "\n".join([*self.lines, f"Answer: {self.answer}"])


def line(problem: Problem, name: str, values: Mapping[str, int]) -> str:
    """Return the line that computes a quantity from these values."""
    made = problem.definitions[name]
    return _written(name, made, values, values[name])


def solution(problem: Problem, order: Sequence[str]) -> str:
    """Return the right solution in an order."""
    lines = [line(problem, name, problem.values) for name in order]
    return "\n".join([*lines, f"Answer: {problem.answer}"])


def answer_of(text: str) -> int | None:
    """Return the last answer a text states."""
    found = _ANSWER.findall(text)
    return int(found[-1]) if found else None


def draft(problem: Problem, rng: random.Random, wrong: float = 0.5) -> Draft:
    """Draw a draft, which is wrong with probability `wrong`."""
    order = problem.order(rng)
    if rng.random() >= wrong:
        lines = tuple(line(problem, name, problem.values) for name in order)
        return Draft(lines, frozenset(), problem.answer, tuple(order))
    while True:
        spoiled = _spoil(problem, order, rng)
        if spoiled is not None and spoiled.answer != problem.answer:
            return spoiled


def wrong_number(rng: random.Random, right: int, near: Sequence[int]) -> int:
    """Return a plausible wrong number in range."""
    kind = rng.random()
    if kind < 0.35:
        wrong = right + rng.choice((-1, 1))
    elif kind < 0.6:
        wrong = right + rng.choice((-10, 10))
    elif kind < 0.7:
        wrong = right % 10 * 10 + right // 10
    elif kind < 0.85 and near:
        wrong = rng.choice(near)
    else:
        wrong = right + rng.randint(-20, 20)
    wrong = abs(wrong) % 100
    return wrong if wrong != right else (right + 1) % 100


def _spoil(problem: Problem, order: Sequence[str], rng: random.Random) -> Draft | None:
    """Write a solution with one or two faults; None where an error leaves the range."""
    computed = [name for name in order if problem.needs(name)]
    victims = set(rng.sample(computed, min(len(computed), rng.choice((1, 1, 2)))))
    if rng.random() < 0.08:
        victims = {rng.choice(order)}
    skipped = rng.choice(order[:-1]) if len(order) > 2 and rng.random() < 0.12 else None
    values: dict[str, int] = {}
    lines: list[str] = []
    faulty: set[int] = set()
    written: list[str] = []
    for name in order:
        if name == skipped:
            values[name] = wrong_number(rng, problem.values[name], list(values.values()))
            continue
        bad = name in victims
        text, value = _line(problem, name, values, rng) if bad else _carried(problem, name, values)
        if not 0 <= value <= 99:
            return None
        if bad or skipped in problem.needs(name):
            faulty.add(len(lines))
        values[name] = value
        lines.append(text)
        written.append(name)
    return Draft(tuple(lines), frozenset(faulty), values[problem.target], tuple(written))


def _carried(problem: Problem, name: str, values: Mapping[str, int]) -> tuple[str, int]:
    made = problem.definitions[name]
    value = made if isinstance(made, int) else apply(*_numbers(made, values))
    return _written(name, made, values, value), value


def _line(
    problem: Problem, name: str, values: Mapping[str, int], rng: random.Random
) -> tuple[str, int]:
    """Write a wrong line: a bad copy, a bad substitution or a bad result."""
    made = problem.definitions[name]
    near = list(values.values())
    if isinstance(made, int):
        value = wrong_number(rng, made, near)
        return f"{name} = {value}", value
    left, sign, right = _numbers(made, values)
    kind = rng.random()
    if kind < 0.15:
        made = _miscopied(made, values, rng)
        value = apply(*_numbers(made, values))
        return _written(name, made, values, value), value
    if kind < 0.35:
        if isinstance(made.left, str) and (isinstance(made.right, int) or rng.random() < 0.5):
            left = wrong_number(rng, left, near)
        else:
            right = wrong_number(rng, right, near)
        value = apply(left, sign, right)
    else:
        value = wrong_number(rng, apply(left, sign, right), near)
    return f"{name} = {made} = {left} {sign} {right} = {value}", value


def _miscopied(made: Operation, values: Mapping[str, int], rng: random.Random) -> Operation:
    others = [name for name in values if name not in made.needs]
    if others and isinstance(made.left, str) and rng.random() < 0.3:
        return Operation(rng.choice(others), made.sign, made.right)
    if others and isinstance(made.right, str) and rng.random() < 0.4:
        return Operation(made.left, made.sign, rng.choice(others))
    return Operation(made.left, rng.choice([s for s in SIGNS if s != made.sign]), made.right)


def _numbers(made: Operation, values: Mapping[str, int]) -> tuple[int, str, int]:
    left, right = made.operands(values)
    return left, made.sign, right


def _written(name: str, made: int | Operation, values: Mapping[str, int], value: int) -> str:
    if isinstance(made, int):
        return f"{name} = {value}"
    left, sign, right = _numbers(made, values)
    return f"{name} = {made} = {left} {sign} {right} = {value}"
