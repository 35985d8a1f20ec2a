"""Worked solutions, and wrong ones with exact labels.

A drawn draft is right in all its lines and in its answer, or wrong in at least one line and in its
answer; nothing lies between. A line is wrong if it copies a definition badly, uses a value that no
line above gives, or miscalculates; a line that only carries an earlier error on is right. The same
labels are given to what a model wrote itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tts.backends.reference.training.world import SIGNS, Operation, Problem, apply

__all__ = ["Draft", "answer_of", "draft", "line", "read", "redone", "solution", "wrong_number"]

_ANSWER = re.compile(r"Answer: (\d+)")
_OPERAND = r"([a-z]+|\d+)"
_LINE = re.compile(
    rf"([a-z]+) = (?:(\d+)|{_OPERAND} ([-+*]) {_OPERAND} = (\d+) ([-+*]) (\d+) = (\d+))"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A solution that may be wrong."""

    lines: tuple[str, ...]
    """Its lines, the answer's apart."""
    faulty: frozenset[int]
    """Indices of the wrong lines."""
    answer: int | None
    """None where no answer is stated."""
    right: bool
    """Whether the answer is right."""
    text: str
    """As a model writes it."""
    values: Mapping[str, int]
    """What the lines say of each quantity."""


def line(problem: Problem, name: str, values: Mapping[str, int]) -> str:
    """Return the line that computes a quantity from these values."""
    made = problem.definitions[name]
    return _written(name, made, values, values[name])


def redone(problem: Problem, name: str, above: Mapping[str, int]) -> str:
    """Return the right line of a quantity, given the values above it; without them, unfinished."""
    made = problem.definitions.get(name)
    if made is None or (isinstance(made, Operation) and not above.keys() >= set(made.needs)):
        return f"{name} = {made or '?'}"
    return _carried(problem, name, above)[0]


def solution(problem: Problem, order: Sequence[str]) -> str:
    """Return the right solution in an order."""
    lines = [line(problem, name, problem.values) for name in order]
    return "\n".join([*lines, f"Answer: {problem.answer}"])


def answer_of(text: str) -> int | None:
    """Return the last answer a text states."""
    found = _ANSWER.findall(text)
    return int(found[-1]) if found else None


def read(problem: Problem, text: str) -> Draft:
    """Label a solution line by line."""
    lines = [each for each in text.split("\n") if not _ANSWER.fullmatch(each)]
    values: dict[str, int] = {}
    faulty: set[int] = set()
    for index, each in enumerate(lines):
        if not _holds(problem, each, values):
            faulty.add(index)
        if found := _LINE.fullmatch(each):
            values[found[1]] = int(found[2] or found[9])
    answer = answer_of(text)
    right = answer == problem.answer
    return Draft(tuple(lines), frozenset(faulty), answer, right, text, values)


def draft(problem: Problem, rng: random.Random, wrong: float = 0.5) -> Draft:
    """Draw a draft, which is wrong with probability `wrong`."""
    order = problem.order(rng)
    if rng.random() >= wrong:
        return read(problem, solution(problem, order))
    while True:
        spoiled = _spoil(problem, order, rng)
        if spoiled is not None and not spoiled.right:
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
    for name in order:
        if name == skipped:
            values[name] = wrong_number(rng, problem.values[name], list(values.values()))
            continue
        write = _line(problem, name, values, rng) if name in victims else None
        text, value = write or _carried(problem, name, values)
        if not 0 <= value <= 99:
            return None
        values[name] = value
        lines.append(text)
    return read(problem, "\n".join([*lines, f"Answer: {values[problem.target]}"]))


def _holds(problem: Problem, text: str, above: Mapping[str, int]) -> bool:
    """Whether a line is right, given the values above it."""
    found = _LINE.fullmatch(text)
    made = problem.definitions.get(found[1]) if found else None
    if found is None or made is None:
        return False
    if isinstance(made, int) or found[2]:
        return found[2] == str(made)
    copied = (found[3], found[4], found[5])
    swapped = copied[::-1] if found[4] in "+*" else copied
    if (str(made.left), made.sign, str(made.right)) not in (copied, swapped):
        return False
    known = {name: str(value) for name, value in above.items()}
    used = tuple(known.get(side, "") if side.isalpha() else side for side in (found[3], found[5]))
    if (found[6], found[8]) != used or found[7] != found[4]:
        return False
    return apply(int(found[6]), found[7], int(found[8])) == int(found[9])


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
