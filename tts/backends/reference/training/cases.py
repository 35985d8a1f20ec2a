"""A problem together with solutions that a model wrote to it itself, where there are some."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tts.backends.reference.training.solutions import Draft, draft, read
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import Problem, draw_problem

__all__ = ["Case", "cases_of", "pool_problem", "save_cases"]

_OWN_SHARE = 0.8


@dataclass(frozen=True)
class Case:
    """A problem, and drafts of it for the roles that judge or build on drafts.

    Attributes:
        problem: The problem.
        own: A model's own samples, labelled; empty where only invented drafts are to be had.
    """

    problem: Problem
    own: tuple[Draft, ...] = ()

    def draft(self, rng: random.Random, wrong: float = 0.5) -> Draft:
        """Return a draft: mostly one of its own, wrong as often as they are; else an invented one.

        Args:
            rng: Decides.
            wrong: Probability that an invented draft is wrong.
        """
        if self.own and rng.random() < _OWN_SHARE:
            return rng.choice(self.own)
        return draft(self.problem, rng, wrong)

    def of(self, rng: random.Random, right: bool) -> Draft:
        """Return a draft that is right, or one that is wrong."""
        own = [each for each in self.own if each.right == right]
        if own and rng.random() < _OWN_SHARE:
            return rng.choice(own)
        return draft(self.problem, rng, 0.0 if right else 1.0)

    def several(self, rng: random.Random, count: int) -> list[Draft]:
        """Return different drafts as they come, half of the invented ones wrong."""
        if len(self.own) >= count and rng.random() < _OWN_SHARE:
            return rng.sample(self.own, count)
        return [draft(self.problem, rng, 0.5) for _ in range(count)]


def pool_problem(key: str, levels: tuple[int, ...]) -> Problem:
    """Return the training problem of a key: the same one whenever it is asked for."""
    rng = random.Random(f"pool:{key}")
    return draw_problem(rng, rng.choice(levels), rng.choice(FORMS), "train")


def save_cases(path: Path, levels: tuple[int, ...], texts: Iterable[tuple[str, list[str]]]) -> None:
    """Write the samples of problems, by key; the file appears all at once."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for key, samples in texts:
            file.write(json.dumps({"key": key, "levels": levels, "texts": samples}) + "\n")
    partial.replace(path)


def cases_of(path: Path) -> list[Case]:
    """Return the cases of a file, labelled exactly."""
    found = []
    for entry in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        problem = pool_problem(entry["key"], tuple(entry["levels"]))
        found.append(Case(problem, tuple(read(problem, text) for text in entry["texts"])))
    return found
