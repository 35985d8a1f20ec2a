"""What a lesson is made of: a prompt and the pieces of its response."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.solutions import line
from tts.backends.reference.training.world import Problem

__all__ = ["VERDICT", "Branch", "Piece", "Role", "branch", "steps", "worked"]

VERDICT = 4.0
"""Weight of a token that says yes or no: it stands for a whole judgement."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the response.

    Attributes:
        text: What is written, or the name of a control token.
        weight: Of its tokens' loss; 0 is not learned.
        control: Whether the text names a control token.
        choices: Texts whose first token would be as right as this one's.
    """

    text: str
    weight: float = 1.0
    control: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """One prompt and its response."""

    prompt: str
    pieces: tuple[Piece, ...]


def branch(prompt: str, target: str, weight: float = 1.0) -> Branch:
    """Return a branch whose whole response is learned."""
    return Branch(prompt, (Piece(target, weight),))


Role = Callable[[Case, random.Random], Branch]


def steps(
    problem: Problem, order: Sequence[str], known: Sequence[str] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each quantity of an order with all that could stand in its place; `known` do not."""
    left = [name for name in problem.needed if name not in known]
    for name in order:
        yield name, tuple(each for each in left if not set(problem.needs(each)) & set(left))
        left.remove(name)


def worked(problem: Problem, order: Sequence[str]) -> tuple[Piece, ...]:
    """Write a solution in an order, where every order that works is right."""
    lines = [
        Piece(line(problem, name, problem.values) + "\n", choices=ready)
        for name, ready in steps(problem, order)
    ]
    return (*lines, Piece(f"Answer: {problem.answer}"))
