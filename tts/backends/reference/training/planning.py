"""Lessons in planning: outlines, sub-problems, difficulty."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask, shipped
from tts.backends.reference.training.responses import Branch, Piece, branch, steps
from tts.backends.reference.training.solutions import line
from tts.backends.reference.training.world import Operation, Problem, is_hard

__all__ = [
    "decompose",
    "difficulty",
    "guided",
    "hardness",
    "outline",
    "outline_text",
    "outlines",
    "step",
    "subproblem",
]

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
    problem, count = case.problem, rng.choice((1, 2, 3, 4, 4, 4))
    prompt = ask("outline", rng, problem=problem.text, count=count)
    # One order is learned, not all that would be as right: they shall be drawn as often as they
    # come, or all outlines would be the same one.
    texts = [outline_text(problem, order) for order in outlines(problem, rng, count)]
    return branch(prompt, "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1)))


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
    """Sub-problems in an order in which they can be solved, each with the numbers it needs."""
    problem = case.problem
    number: dict[str, int] = {}
    lines, order = list[Piece](), problem.order(rng)
    for name, ready in steps(problem, _computed(problem, order), _given(problem)):
        number[name] = len(number) + 1
        needs = [str(number[each]) for each in _needs(problem, name) if each in number]
        text = f"{number[name]}. {_hop(problem, name)} [{', '.join(needs)}]\n"
        choices = () if name == problem.target else ready
        lines += [Piece(f"{number[name]}."), Piece(text.partition(" ")[2], choices=choices)]
    lines[-1] = Piece(lines[-1].text[:-1])
    return Branch(ask("decompose", rng, problem=problem.text), tuple(lines))


def _computed(problem: Problem, order: Sequence[str]) -> list[str]:
    return [name for name in order if problem.needs(name)]


def _given(problem: Problem) -> list[str]:
    return [name for name in problem.needed if not problem.needs(name)]


def _needs(problem: Problem, name: str) -> list[str]:
    return list(dict.fromkeys(problem.needs(name)))


def subproblem(problem: Problem, name: str, known: Sequence[str]) -> str:
    """Return the text of a sub-problem whose earlier answers are known."""
    pairs = [(_hop(problem, each), problem.values[each]) for each in known]
    asked = _hop(problem, name) if problem.needs(name) else name
    prompt = shipped().render("subproblem", problem=problem.text, step=asked, known=pairs)
    return prompt.messages[0].content


def _drawn_step(problem: Problem, rng: random.Random) -> tuple[str, list[str]]:
    """Draw a quantity to compute, and what is known by then."""
    order = _computed(problem, problem.order(rng))
    place = rng.randrange(len(order))
    return order[place], order[:place]


def step(case: Case, rng: random.Random) -> Branch:
    """Solve one sub-problem whose needs are known, with what is given to it, or at once."""
    problem = case.problem
    name, known = _drawn_step(problem, rng)
    text, answer = subproblem(problem, name, known), f"Answer: {problem.values[name]}"
    if name == problem.target and known:  # the last step is the question itself
        text = text[: text.rindex("\n\nFind ")]
    if rng.random() < 0.3:
        return branch(ask("direct", rng, problem=text), answer, 2.0)
    used = [each for each in _needs(problem, name) if each not in known]
    lines = [line(problem, each, problem.values) for each in (*used, name)]
    return branch(ask("solve", rng, problem=text), "\n".join([*lines, answer]))


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
