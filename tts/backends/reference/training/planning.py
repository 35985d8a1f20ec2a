"""Lessons in planning: outlines, sub-problems, difficulty, function calls."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask, shipped
from tts.backends.reference.training.responses import Branch, Piece, branch
from tts.backends.reference.training.solutions import line
from tts.backends.reference.training.world import Operation, Problem, is_hard

__all__ = [
    "TOOLS",
    "calls",
    "decompose",
    "difficulty",
    "guided",
    "hardness",
    "join",
    "outline",
    "outline_text",
    "outlines",
    "step",
    "subproblem",
]

TOOLS = (
    "add(a, b): Return a plus b.",
    "sub(a, b): Return a minus b.",
    "mul(a, b): Return a times b.",
)
_FUNCTIONS = {"+": "add", "-": "sub", "*": "mul"}
_TRIES = 3


def outline_text(problem: Problem, order: Sequence[str]) -> str:
    """Return the outline of an order, from the question back to what is given."""
    return ", ".join(_hop(problem, name) for name in reversed(order))


def _hop(problem: Problem, name: str) -> str:
    needs = " and ".join(dict.fromkeys(problem.needs(name)))
    return f"{name} from {needs}" if needs else f"{name} given"


def outlines(problem: Problem, rng: random.Random, count: int) -> list[list[str]]:
    """Return up to `count` different orders in which a problem can be solved."""
    found: dict[tuple[str, ...], None] = {}
    for _ in range(_TRIES * count):
        found[tuple(problem.order(rng))] = None
    return [list(order) for order in found][:count]


def outline(case: Case, rng: random.Random) -> Branch:
    """Several outlines in one response, each from the question back to what is given."""
    problem, count = case.problem, rng.choice((1, 2, 2, 3, 4))
    prompt = ask("outline", rng, problem=problem.text, count=count)
    pieces: list[Piece] = []
    orders = outlines(problem, rng, count)
    for number, order in enumerate(orders, 1):
        pieces.append(Piece(f"{number}."))
        for name, choices in _backward(problem, order):
            pieces.append(Piece(_hop(problem, name) + ",", choices=choices))
        last = pieces[-1]
        end = "\n" if number < len(orders) else ""
        pieces[-1] = Piece(last.text[:-1] + end, choices=last.choices)
    return Branch(prompt, tuple(pieces))


def _backward(problem: Problem, order: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the reversed order, each quantity with all that could stand in its place."""
    left, found = list(problem.needed), []
    for name in reversed(order):
        used = {need for each in left for need in problem.needs(each)}
        found.append((name, tuple(each for each in left if each not in used)))
        left.remove(name)
    return found


def guided(case: Case, rng: random.Random) -> Branch:
    """Solve along an outline; now and then it is spoiled, and the solution right all the same."""
    problem, order = case.problem, case.problem.order(rng)
    text = outline_text(problem, order)
    if rng.random() < 0.15:
        hops = text.split(", ")
        hops.pop(rng.randrange(len(hops)))
        text = ", ".join(rng.sample(hops, len(hops))) or text
    prompt = ask("guided", rng, problem=problem.text, outline=text)
    lines = [Piece(line(problem, name, problem.values) + "\n") for name in order]
    return Branch(prompt, (*lines, Piece(f"Answer: {problem.answer}")))


def decompose(case: Case, rng: random.Random) -> Branch:
    """Sub-problems from the question back to what is given, each with the numbers it needs."""
    problem = case.problem
    waiting, number = [problem.target], {problem.target: 1}
    pieces: list[Piece] = []
    while waiting:
        name = waiting.pop(0)
        for need in dict.fromkeys(problem.needs(name)):
            if need not in number:
                number[need] = len(number) + 1
                waiting.append(need)
        needs = ", ".join(str(number[need]) for need in dict.fromkeys(problem.needs(name)))
        end = "\n" if waiting else ""
        pieces.append(Piece(f"{number[name]}. {name} [{needs}]{end}"))
    return Branch(ask("decompose", rng, problem=problem.text), tuple(pieces))


def subproblem(problem: Problem, name: str, known: Sequence[str]) -> str:
    """Return the text of a sub-problem whose earlier answers are known."""
    pairs = [(each, problem.values[each]) for each in known]
    prompt = shipped().render("subproblem", problem=problem.text, step=name, known=pairs)
    return prompt.messages[0].content


def _drawn_step(problem: Problem, rng: random.Random) -> tuple[str, list[str]]:
    """Draw a quantity of an order, and what is known by then."""
    order = problem.order(rng)
    place = rng.randrange(len(order))
    return order[place], order[:place]


def step(case: Case, rng: random.Random) -> Branch:
    """Solve one sub-problem whose needs are known, with its one line or at once."""
    problem = case.problem
    name, known = _drawn_step(problem, rng)
    text, answer = subproblem(problem, name, known), f"Answer: {problem.values[name]}"
    if rng.random() < 0.4:
        return branch(ask("direct", rng, problem=text), answer, 2.0)
    target = f"{line(problem, name, problem.values)}\n{answer}"
    return branch(ask("solve", rng, problem=text), target)


def hardness(problem: Problem, name: str, known: Sequence[str]) -> float:
    """Return how hard a quantity is, from 0 to 0.9: by the operations left, and their digits."""
    left = {name}
    for _ in problem.definitions:
        left |= {need for each in left for need in problem.needs(each) if need not in known}
    made = [each for each in left if isinstance(problem.definitions[each], Operation)]
    score = len(made) / 10
    if len(made) == 1:
        definition = problem.definitions[made[0]]
        assert isinstance(definition, Operation)
        one, two = definition.operands(problem.values)
        score += 0.1 * is_hard(one, definition.sign, two)
    return min(0.9, score)


def difficulty(case: Case, rng: random.Random) -> Branch:
    """Rate a problem, or one of its sub-problems, from 0 to 0.9."""
    problem = case.problem
    text, name, known = problem.text, problem.target, list[str]()
    if rng.random() < 0.4:
        name, known = _drawn_step(problem, rng)
        known = known if rng.random() < 0.5 else []
        text = subproblem(problem, name, known)
    score = hardness(problem, name, known)
    return branch(ask("difficulty", rng, problem=text), f"{score:.1f}", 2.0)


def calls(case: Case, rng: random.Random) -> Branch:
    """Think backward, then plan function calls in an order in which they can run."""
    problem = case.problem
    order = problem.order(rng)
    hops = _backward(problem, order)
    thought = [Piece(_hop(problem, name) + ",", choices=choices) for name, choices in hops[:-1]]
    last, choices = hops[-1]
    pieces = [Piece("Thought:"), *thought, Piece(_hop(problem, last) + "\n", choices=choices)]
    lines = _call_lines(problem, order)
    pieces += [Piece(f"{number}. {each}\n") for number, each in enumerate(lines, 1)]
    prompt = ask("plan", rng, problem=problem.text, tools=TOOLS)
    return Branch(prompt, (*pieces, Piece(f"{len(lines) + 1}. join()")))


def _call_lines(problem: Problem, order: Sequence[str]) -> list[str]:
    number: dict[str, int] = {}
    lines: list[str] = []

    def argument(side: str | int) -> str:
        if isinstance(side, str) and side in number:
            return f"${number[side]}"
        return str(problem.values[side] if isinstance(side, str) else side)

    for name in order:
        made = problem.definitions[name]
        if isinstance(made, Operation):
            lines.append(f"{_FUNCTIONS[made.sign]}({argument(made.left)}, {argument(made.right)})")
            number[name] = len(lines)
    return lines


def join(case: Case, rng: random.Random) -> Branch:
    """Finish with the last call's result, or ask to plan again where a call failed."""
    problem = case.problem
    order = [name for name in problem.order(rng) if problem.needs(name)]
    results = [str(problem.values[name]) for name in order]
    target = f"Finish: {problem.answer}"
    if rng.random() < 0.25:
        place = rng.randrange(len(order))
        results[place:] = ["error"] * (len(order) - place)
        target = f"Replan: call {place + 1} failed"
    written = _call_lines(problem, problem.order(rng) if not order else _whole(problem, order))
    shown = [f"{call} = {result}" for call, result in zip(written, results, strict=True)]
    return branch(ask("join", rng, problem=problem.text, calls=shown), target, 2.0)


def _whole(problem: Problem, order: Sequence[str]) -> list[str]:
    """Return an order with the given quantities in front."""
    return [*(name for name in problem.needed if not problem.needs(name)), *order]
