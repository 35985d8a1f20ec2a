"""Game of 24: reach 24 with four numbers, by + - * and /."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tts.errors import ConfigError
from tts.evals.checkers.base import Checker
from tts.evals.checkers.expression import ExpressionChecker
from tts.evals.tasks.base import Example
from tts.evals.tasks.countdown import puzzle, reached
from tts.evals.tasks.drawn import DrawnTask, split_of
from tts.evals.tasks.files import rows_of, text_of

__all__ = ["Game24"]


class Game24(DrawnTask, name="game24"):
    """Reach 24 with four numbers of 1 to 13, each used once; many answers are right.

    Puzzles are drawn from the 1,362 that have a solution, or read from a file in the format of the
    authors of Tree of Thoughts (arXiv:2305.10601), who tested on its lines 901 to 1000: `first:
    901`, `problems: 100`.
    """

    path: Path | None = None
    """A file of JSON lines with `puzzle` (`"1 1 4 6"`) in place of drawing; both splits together
    are the file."""
    first: Annotated[int, Field(ge=1)] = 1
    """The line of the file to begin with."""
    develop: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """The share of puzzles that the split `develop` has, chosen by a digest."""

    @property
    def checker(self) -> Checker:
        """The expression or the steps, exactly."""
        return ExpressionChecker()

    def in_split(self, key: str) -> bool:
        """Return whether a puzzle belongs to the split, by the share of `develop`."""
        return split_of(key, self.develop) == self.split

    def draw(self, rng: random.Random) -> Example:
        """Draw a puzzle that has a solution."""
        while True:
            numbers = [rng.randint(1, 13) for _ in range(4)]
            if solution := reached(tuple(sorted(numbers)), 24):
                return puzzle(numbers, 24, solution, signs="+-*/")

    def examples(self) -> tuple[Example, ...]:
        """Return the puzzles.

        Raises:
            ConfigError: If the file is missing or wrong, or there are not so many puzzles.
        """
        if self.path is None:
            return super().examples()
        read: dict[str, Example] = {}
        for line, row in rows_of(self.path):
            example = self._read(self.path, row, line)
            if read.setdefault(example.id, example) is not example:
                message = "the puzzle is that of an earlier line"
                raise ConfigError(message, path=str(self.path), line=line)
        kept = [
            each
            for each in [*read.values()][self.first - 1 :]
            if self.in_split(self.split_key(each))
        ]
        if not kept:
            message = f"no puzzle of the split {self.split!r} from line {self.first} on"
            raise ConfigError(message, path=str(self.path))
        return tuple(kept[: self.problems])

    def _read(self, path: Path, row: dict[str, object], line: int) -> Example:
        numbers = text_of(row, "puzzle").split()
        if len(numbers) != 4 or not all(map(str.isdecimal, numbers)):
            raise ConfigError("a puzzle is four numbers", path=str(path), line=line)
        given = [int(number) for number in numbers]
        solution = reached(tuple(given), 24)
        if solution is None:
            raise ConfigError("the puzzle has no solution", path=str(path), line=line)
        made = puzzle(given, 24, solution, signs="+-*/")
        keep = {key: row[key] for key in ("human_solved_rate",) if key in row}
        return made.model_copy(update={"extra": {**made.extra, **keep}})
