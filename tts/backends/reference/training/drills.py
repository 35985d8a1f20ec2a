"""Dense drills: many small lessons in one response, learned only where something is to be known."""

from __future__ import annotations

import random

from tts.backends.reference.training.countdown import Countdown, draw_countdown, reaches, ways
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.responses import VERDICT, Branch, Piece, branch
from tts.backends.reference.training.solutions import wrong_number
from tts.backends.reference.training.world import (
    Problem,
    Split,
    apply,
    draw_operation,
)

__all__ = ["facts", "puzzle", "sums", "trace", "unlock"]


def facts(problem: Problem, rng: random.Random) -> Branch:
    """Retrieval: the quantities in a new order, each followed by what the text says of it."""
    pieces: list[Piece] = []
    for name in rng.sample(problem.shown, len(problem.shown)):
        pieces += [Piece(name, 0.0), Piece(f"= {problem.definitions[name]}\n")]
    return Branch(ask("facts", rng, problem=problem.text), tuple(pieces))


def trace(problem: Problem, rng: random.Random) -> Branch:
    """Order seen backward: from the question to what it needs, and what that needs."""
    pieces: list[Piece] = []
    waiting, seen = [problem.target], {problem.target}
    while waiting:
        name = waiting.pop(0)
        needs = sorted(set(problem.needs(name)), key=problem.shown.index)
        pieces.append(Piece(f"{name} needs {' '.join(needs) or 'none'}\n"))
        waiting += [need for need in needs if need not in seen]
        seen.update(needs)
    return Branch(ask("trace", rng, problem=problem.text), tuple(pieces))


def unlock(problem: Problem, rng: random.Random) -> Branch:
    """Order seen forward: each value that becomes known, and what can be computed then."""
    known: set[str] = set()
    ready = [name for name in problem.shown if not problem.needs(name)]
    pieces: list[Piece] = []
    while ready:
        name = ready.pop(rng.randrange(len(ready)))
        known.add(name)
        fresh = [
            other
            for other in problem.shown
            if name in problem.needs(other) and known.issuperset(problem.needs(other))
        ]
        pieces += [Piece(name, 0.0), Piece(f": {' '.join(fresh) or 'none'}\n")]
        ready += fresh
    return Branch(ask("unlock", rng, problem=problem.text), tuple(pieces))


def sums(rng: random.Random) -> Branch:
    """Arithmetic: results, or marks of results, or one sum asked for."""
    kind = rng.random()
    if kind < 0.12:
        left, sign, right = draw_operation(rng)
        text = f"{left} {sign} {right}"
        return branch(ask("compute", rng, sum=text), f"{text} = {apply(left, sign, right)}")
    pieces: list[Piece] = []
    for _ in range(rng.randint(4, 10)):
        left, sign, right = draw_operation(rng)
        result = apply(left, sign, right)
        if kind < 0.6:
            pieces += [Piece(f"{left} {sign} {right} =", 0.0), Piece(f"{result}\n")]
            continue
        wrong = rng.random() < 0.5
        shown = wrong_number(rng, result, (left, right)) if wrong else result
        pieces.append(Piece(f"{left} {sign} {right} = {shown}", 0.0))
        pieces.append(Piece("wrong\n" if wrong else "ok\n"))
    return Branch(ask("sums" if kind < 0.6 else "sum_marks", rng), tuple(pieces))


def puzzle(made: Countdown, rng: random.Random, split: Split) -> Branch:
    """Countdown: a solution, or the verdict on one."""
    text = rng.choice(ways(made))
    if rng.random() < 0.75:
        return branch(ask("reach", rng, problem=made.text), text)
    if rng.random() < 0.3:
        head, _, last = text.rpartition(" ")
        text = f"{head} {wrong_number(rng, int(last), made.numbers)}"
    elif rng.random() < 0.3:
        text = rng.choice(ways(draw_countdown(rng, split)))
    prompt = ask("verify", rng, problem=made.text, solution=text)
    return branch(prompt, "Yes" if reaches(made, text) else "No", VERDICT)
