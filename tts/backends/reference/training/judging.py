"""Lessons in judging: yes or no, a critique line by line, and the choice among solutions."""

from __future__ import annotations

import random

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.responses import VERDICT, Branch, Piece, branch
from tts.backends.reference.training.solutions import Draft, redone
from tts.backends.reference.training.world import Problem

__all__ = ["critique", "critique_text", "select", "verify"]

_WRONG_LINE = 3.0
_WRONG_MARK = 6.0


def verify(case: Case, rng: random.Random) -> Branch:
    """Say whether a solution is correct, in one word."""
    made = case.of(rng, right=rng.random() < 0.5)
    prompt = ask("verify", rng, problem=case.problem.text, solution=made.text)
    return branch(prompt, "Yes" if made.right else "No", VERDICT)


def critique(case: Case, rng: random.Random) -> Branch:
    """Do each step again and mark it, up to the first mistake."""
    made = case.of(rng, right=rng.random() < 0.5)
    prompt = ask("critique", rng, problem=case.problem.text, solution=made.text)
    pieces: list[Piece] = []
    for text, mark in critique_text(case.problem, made):
        # Most lines are right, and to copy them is cheaper than to do them again: the wrong ones
        # must weigh more.
        heavy = mark == "wrong"
        pieces.append(Piece(text, _WRONG_LINE if heavy else 1.0))
        pieces.append(Piece(mark + "\n", _WRONG_MARK if heavy else VERDICT / 4))
    fine = pieces[-1].text == "ok\n"
    return Branch(prompt, (*pieces, Piece("Correct:"), Piece("Yes" if fine else "No", VERDICT)))


def critique_text(problem: Problem, made: Draft) -> list[tuple[str, str]]:
    """Return for each line, up to the first wrong one, the line done again and its mark."""
    found: list[tuple[str, str]] = []
    above: dict[str, int] = {}
    for index, line in enumerate(made.lines):
        name, _, rest = line.partition(" = ")
        wrong = index in made.faulty
        found.append((f"{index + 1}. {redone(problem, name, above)}", "wrong" if wrong else "ok"))
        if wrong:
            return found
        above[name] = int(rest.rpartition("= ")[2])
    value = above.get(problem.target, "?")
    mark = "ok" if made.answer == value else "wrong"
    return [*found, (f"{len(made.lines) + 1}. Answer: {value}", mark)]


def select(case: Case, rng: random.Random) -> Branch:
    """Name the number of a right solution among wrong ones."""
    count = rng.choice((2, 2, 3, 4))
    rights = rng.randint(1, max(1, count - 1))
    drafts = [case.of(rng, right=index < rights) for index in range(count)]
    rng.shuffle(drafts)
    prompt = ask("select", rng, problem=case.problem.text, solutions=[each.text for each in drafts])
    numbers = [str(place + 1) for place, each in enumerate(drafts) if each.right]
    target = rng.choice(numbers)
    return Branch(prompt, (Piece(target, VERDICT, choices=tuple(numbers)),))
