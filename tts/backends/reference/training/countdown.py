"""Countdown with three numbers: reach a target by using each number once."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tts.backends.reference.training.world import SIGNS, Split, apply, split_of

__all__ = ["Countdown", "draw_countdown", "reaches", "ways"]

_LINE = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")


@dataclass(frozen=True, slots=True)
class Countdown:
    """Three numbers and what to make of them."""

    numbers: tuple[int, int, int]
    target: int

    @property
    def text(self) -> str:
        """The puzzle as the model reads it."""
        return f"Numbers: {' '.join(map(str, self.numbers))}\nTarget: {self.target}"


def draw_countdown(rng: random.Random, split: Split) -> Countdown:
    """Draw a puzzle that has a solution and needs more than a given number."""
    while True:
        numbers = (rng.randint(2, 25), rng.randint(2, 25), rng.randint(2, 25))
        one, two, three = rng.sample(numbers, 3)
        middle = apply(one, rng.choice(SIGNS), two)
        target = apply(middle, rng.choice(SIGNS), three)
        if not (0 <= middle <= 99 and 0 <= target <= 99) or target in numbers:
            continue
        if split_of(sorted(numbers), target) == split:
            return Countdown(numbers, target)


def ways(puzzle: Countdown) -> list[str]:
    """Return every solution, each as two lines."""
    found: dict[str, None] = {}
    for one, two, three in itertools.permutations(puzzle.numbers):
        for first, second in itertools.product(SIGNS, SIGNS):
            middle = apply(one, first, two)
            if not 0 <= middle <= 99:
                continue
            for left, right in ((middle, three), (three, middle)):
                if apply(left, second, right) == puzzle.target:
                    head = f"{one} {first} {two} = {middle}"
                    found[f"{head}\n{left} {second} {right} = {puzzle.target}"] = None
    return list(found)


def reaches(puzzle: Countdown, text: str) -> bool:
    """Check a solution exactly: right sums, each number used once, the target at the end."""
    pool: list[int] = list(puzzle.numbers)
    lines = text.strip().split("\n")
    matches = [_LINE.fullmatch(line.strip()) for line in lines]
    if len(lines) != 2 or None in matches:
        return False
    for match in matches:
        assert match is not None
        left, right, result = (int(match[group]) for group in (1, 3, 4))
        if not _take(pool, (left, right)) or apply(left, match[2], right) != result:
            return False
        pool.append(result)
    return pool == [puzzle.target]


def _take(pool: list[int], numbers: Sequence[int]) -> bool:
    for number in numbers:
        if number not in pool:
            return False
        pool.remove(number)
    return True
