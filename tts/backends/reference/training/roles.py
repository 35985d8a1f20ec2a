"""What the model is taught to do with a problem: one prompt and one response a role."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.solutions import draft, line, solution, wrong_number
from tts.backends.reference.training.world import Operation, Problem

__all__ = ["ROLES", "Branch", "Piece", "Role", "branch"]

_FUNCTIONS = {"+": "add", "-": "sub", "*": "mul"}
_HARD_FROM = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the response, with whether the model is to learn it."""

    text: str
    learn: bool = True
    control: bool = False
    """The text is the name of a control token."""
    choices: tuple[str, ...] = ()
    """Texts whose first token would be as right as this one's."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One prompt and its response."""

    prompt: str
    pieces: tuple[Piece, ...]


def branch(prompt: str, target: str) -> Branch:
    """Return a branch whose whole response is learned."""
    return Branch(prompt, (Piece(target),))


Role = Callable[[Problem, random.Random], Branch]


def _steps(problem: Problem, order: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each quantity of an order with all that could stand in its place."""
    left = list(problem.needed)
    for name in order:
        yield name, tuple(each for each in left if not set(problem.needs(each)) & set(left))
        left.remove(name)


def _worked(problem: Problem, rng: random.Random) -> tuple[Piece, ...]:
    """Write a solution in a random order, in which every order is right."""
    lines = [
        Piece(line(problem, name, problem.values) + "\n", choices=ready)
        for name, ready in _steps(problem, problem.order(rng))
    ]
    return (*lines, Piece(f"Answer: {problem.answer}"))


def _solve(problem: Problem, rng: random.Random) -> Branch:
    return Branch(ask("solve", rng, problem=problem.text), _worked(problem, rng))


def _follow(problem: Problem, rng: random.Random) -> Branch:
    order = problem.order(rng)
    prompt = ask("follow", rng, problem=problem.text, order=", ".join(order))
    return branch(prompt, solution(problem, order))


def _outline(problem: Problem, rng: random.Random) -> Branch:
    prompt = ask("outline", rng, problem=problem.text)
    steps = list(_steps(problem, problem.order(rng)))
    names = [Piece(f"{name},", choices=ready) for name, ready in steps[:-1]]
    return Branch(prompt, (Piece("Plan:"), *names, Piece(problem.target)))


def _direct(problem: Problem, rng: random.Random) -> Branch:
    return branch(ask("direct", rng, problem=problem.text), f"Answer: {problem.answer}")


def _verify(problem: Problem, rng: random.Random) -> Branch:
    made = draft(problem, rng)
    prompt = ask("verify", rng, problem=problem.text, solution=made.text)
    return branch(prompt, "Yes" if made.right else "No")


def _select(problem: Problem, rng: random.Random) -> Branch:
    count = rng.choice((2, 2, 2, 3, 4))
    solutions = [draft(problem, rng, 1.0).text for _ in range(count - 1)]
    place = rng.randrange(count)
    solutions.insert(place, draft(problem, rng, 0.0).text)
    prompt = ask("select", rng, problem=problem.text, solutions=solutions)
    return branch(prompt, str(place + 1))


def _mark(problem: Problem, rng: random.Random) -> Branch:
    made = draft(problem, rng, 0.65)
    pieces: list[Piece] = []
    for index, text in enumerate(made.lines):
        mark = "wrong\n" if index in made.faulty else "ok\n"
        pieces += [Piece(text, learn=False), Piece(mark)]
    return Branch(ask("mark", rng, problem=problem.text), tuple(pieces))


def _check(problem: Problem, rng: random.Random) -> Branch:
    made = draft(problem, rng)
    first = min(made.faulty, default=len(made.order))
    lines = [f"{name} ok" for name in made.order[:first]]
    lines += ["Yes"] if made.right else [f"{made.order[first]} wrong", "No"]
    prompt = ask("check", rng, problem=problem.text, solution=made.text)
    return branch(prompt, "\n".join(lines))


def _decompose(problem: Problem, rng: random.Random) -> Branch:
    order = problem.order(rng)
    pieces: list[Piece] = []
    for number, (name, ready) in enumerate(_steps(problem, order), 1):
        needs = sorted({order.index(need) + 1 for need in problem.needs(name)})
        listed = " ".join(map(str, needs)) or "none"
        end = "" if name == problem.target else "\n"
        pieces += [Piece(f"{number}."), Piece(f"{name} needs {listed}{end}", choices=ready)]
    return Branch(ask("decompose", rng, problem=problem.text), tuple(pieces))


def _judge(problem: Problem, rng: random.Random) -> Branch:
    verdict = "hard" if problem.operations >= _HARD_FROM else "easy"
    return branch(ask("judge", rng, problem=problem.text), verdict)


def _distil(problem: Problem, rng: random.Random) -> Branch:
    drafts = [draft(problem, rng, 0.45).text for _ in range(rng.choice((2, 2, 3)))]
    prompt = ask("distil", rng, problem=problem.text, drafts=drafts)
    return branch(prompt, "Notes:\n" + _notes(problem.needed, problem.values))


def _refine(problem: Problem, rng: random.Random) -> Branch:
    values = dict(problem.values)
    if rng.random() < 0.3:
        name = rng.choice(problem.needed)
        values[name] = wrong_number(rng, values[name], list(values.values()))
    prompt = ask("refine", rng, problem=problem.text, notes=_notes(problem.needed, values))
    return Branch(prompt, _worked(problem, rng))


def _notes(names: Sequence[str], values: Mapping[str, int]) -> str:
    return "\n".join(f"{name} = {values[name]}" for name in names)


def _calls(problem: Problem, rng: random.Random) -> Branch:
    number: dict[str, int] = {}
    lines: list[str] = []

    def argument(side: str | int) -> str:
        if isinstance(side, str) and side in number:
            return f"${number[side]}"
        return str(problem.values[side] if isinstance(side, str) else side)

    for name in problem.order(rng):
        made = problem.definitions[name]
        if isinstance(made, Operation):
            call = f"{_FUNCTIONS[made.sign]}({argument(made.left)}, {argument(made.right)})"
            lines.append(f"{len(lines) + 1}. {call}")
            number[name] = len(lines)
    lines.append(f"{len(lines) + 1}. join()")
    return branch(ask("calls", rng, problem=problem.text), "\n".join(lines))


def _think(problem: Problem, rng: random.Random) -> Branch:
    path = Piece(f"<think{rng.randint(1, 4)}>", control=True)
    return Branch(ask("think", rng, problem=problem.text), (path, *_worked(problem, rng)))


def _summary(problem: Problem, rng: random.Random) -> Branch:
    pieces: list[Piece] = []
    for index in range(rng.choice((2, 2, 3))):
        pieces.append(Piece(f"<think{index + 1}>", learn=False, control=True))
        pieces.append(Piece(draft(problem, rng, 0.4).text, learn=False))
    pieces.append(Piece("<summary>", learn=False, control=True))
    pieces.append(Piece(f"Answer: {problem.answer}"))
    return Branch(ask("think", rng, problem=problem.text), tuple(pieces))


ROLES: dict[str, tuple[Role, float]] = {
    "solve": (_solve, 40),
    "follow": (_follow, 8),
    "verify": (_verify, 6),
    "mark": (_mark, 7),
    "outline": (_outline, 6),
    "select": (_select, 3),
    "check": (_check, 2),
    "calls": (_calls, 4),
    "refine": (_refine, 3),
    "decompose": (_decompose, 3),
    "distil": (_distil, 1.5),
    "judge": (_judge, 2),
    "think": (_think, 2),
    "summary": (_summary, 1),
    "direct": (_direct, 1),
}
"""Every role with its weight in the mix."""
