"""Lessons in calling functions: plans, what comes after them, and one call at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.responses import Branch, Piece, branch, steps
from tts.backends.reference.training.world import Operation, Problem

__all__ = ["TOOLS", "act", "calls", "join", "repair", "replan"]

TOOLS = (
    "add(a, b): Return a plus b.",
    "sub(a, b): Return a minus b.",
    "mul(a, b): Return a times b.",
)
_FUNCTIONS = {"+": "add", "-": "sub", "*": "mul"}
_KNOWN = ", ".join(_FUNCTIONS.values())
_FAILURES = {
    "error: no result in 5 s": "timed out",
    "error: it is out of order": "failed",
    "error: no connection": "failed",
}
_WITHOUT_THOUGHTS = 0.25


def calls(case: Case, rng: random.Random) -> Branch:
    """Solve with call numbers in place of results, each call after the thought it carries out.

    So a plan is the solution that the model knows best, and a call repeats the end of its thought.
    """
    problem = case.problem
    prompt = ask("plan", rng, problem=problem.text, tools=TOOLS)
    return Branch(prompt, tuple(_planned(problem, problem.order(rng), {}, 1)))


def join(case: Case, rng: random.Random) -> Branch:
    """Finish with the last call's result, or ask to plan again where a call failed."""
    problem = case.problem
    order = _computed(problem, rng)
    results = [str(problem.values[name]) for name in order]
    target = f"Finish: {problem.answer}"
    if rng.random() < 0.25:
        place = rng.randrange(len(order))
        results[place:] = ["error"] * (len(order) - place)
        target = f"Replan: call {place + 1} failed"
    shown = [f"{call} = {end}" for call, end in zip(_written(problem, order), results, strict=True)]
    return branch(ask("join", rng, problem=problem.text, calls=shown), target, 2.0)


def act(case: Case, rng: random.Random) -> Branch:
    """Write the next call with what was found so far, or finish."""
    problem = case.problem
    order = _computed(problem, rng)
    place = rng.randrange(len(order) + 1)
    told = rng.random() >= _WITHOUT_THOUGHTS
    made = [_thought(problem, name) * told + _result(problem, name) for name in order[:place]]
    prompt = ask("act", rng, problem=problem.text, tools=TOOLS, calls=made)
    if place == len(order):
        return branch(prompt, f"Finish: {problem.answer}", 2.0)
    name = order[place]
    given = [each for each in problem.needed if not problem.needs(each)]
    ready = dict(steps(problem, order, given))[name]
    thought = _thought(problem, name).removeprefix("Thought: ")
    text = thought + _call(problem, name)
    return Branch(prompt, (Piece("Thought:"), Piece(text, choices=ready)))


def replan(case: Case, rng: random.Random) -> Branch:
    """Plan what is still needed after a call failed, with the results that are there."""
    problem = case.problem
    order = _computed(problem, rng)
    place = rng.randrange(len(order))
    lost = _after(problem, order, order[place])
    kept = {name: at for at, name in enumerate(order, 1) if name not in lost}
    failure, state = rng.choice(list(_FAILURES.items()))
    shown = []
    for name, call in zip(order, _written(problem, order), strict=True):
        end = str(problem.values[name])
        if name == order[place]:
            end = failure
        elif name not in kept:
            cause = next(each for each in problem.needs(name) if each in lost)
            how = state if cause == order[place] else "skipped"
            end = f"error: not run, since {order.index(cause) + 1} {how}"
        shown.append(f"{call} = {end}")
    prompt = ask(
        "replan",
        rng,
        problem=problem.text,
        tools=TOOLS,
        calls=shown,
        missing=f"call {place + 1} failed",
        next=len(order) + 1,
    )
    left = [name for name in order if name in lost]
    return Branch(prompt, tuple(_planned(problem, left, kept, len(order) + 1)))


def repair(case: Case, rng: random.Random) -> Branch:
    """Write again what of a plan could not be carried out: a call, and those that need it."""
    problem = case.problem
    order = _computed(problem, rng)
    place = rng.randrange(len(order))
    lost = _after(problem, order, order[place])
    kept = {name: at for at, name in enumerate(order, 1) if name not in lost}
    plan, problems = [], []
    for at, (name, call) in enumerate(zip(order, _written(problem, order), strict=True), 1):
        if name in kept:
            plan.append(f"{at}. {call}")
        elif at == place + 1:
            function, _, rest = call.partition("(")
            wrong = rng.choice((function[:2], f"{function}s", "div"))
            problems.append(
                f"{at}. {wrong}({rest} - there is no function '{wrong}'; there are {_KNOWN}"
            )
        else:
            first = next(each for each in problem.needs(name) if each in lost)
            unknown = order.index(first) + 1
            problems.append(f"{at}. {call} - ${unknown} stands for a call that was not planned")
    following = max(kept.values(), default=0) + 1
    prompt = ask(
        "repair",
        rng,
        problem=problem.text,
        tools=TOOLS,
        plan=plan,
        problems=problems,
        next=following,
    )
    left = [name for name in order if name in lost]
    return Branch(prompt, tuple(_planned(problem, left, kept, following)))


def _planned(
    problem: Problem, order: Sequence[str], number: Mapping[str, int], first: int
) -> Iterator[Piece]:
    """Yield thoughts and calls, numbered from `first`, and the end of the plan."""
    known = dict(number)
    following = first
    others = [name for name in problem.needed if name not in order]
    for name, ready in steps(problem, order, others):
        made = problem.definitions[name]
        text = f"{name} = {made}"
        if isinstance(made, Operation):
            sides = _sides(problem, made, known)
            text += f" = {f' {made.sign} '.join(sides)} = ${following}"
        yield Piece("Thought:")
        yield Piece(text + "\n", choices=ready)
        if isinstance(made, Operation):
            yield Piece(f"{following}. {_FUNCTIONS[made.sign]}({', '.join(sides)})\n")
            known[name] = following
            following += 1
    yield Piece(f"{following}. join()")


def _computed(problem: Problem, rng: random.Random) -> list[str]:
    return [name for name in problem.order(rng) if problem.needs(name)]


def _after(problem: Problem, order: Sequence[str], name: str) -> set[str]:
    """Return a quantity and all of an order that need it."""
    lost = {name}
    for each in order:
        if lost & set(problem.needs(each)):
            lost.add(each)
    return lost


def _sides(problem: Problem, made: Operation, number: Mapping[str, int]) -> list[str]:
    """Return both operands as a call has them: the number of an earlier call, or a value."""
    return [
        f"${number[side]}"
        if isinstance(side, str) and side in number
        else str(problem.values[side] if isinstance(side, str) else side)
        for side in (made.left, made.right)
    ]


def _call(problem: Problem, name: str, number: Mapping[str, int] | None = None) -> str:
    made = problem.definitions[name]
    assert isinstance(made, Operation)
    return f"{_FUNCTIONS[made.sign]}({', '.join(_sides(problem, made, number or {}))})"


def _written(problem: Problem, order: Sequence[str]) -> list[str]:
    """Return the calls of an order as a plan has them."""
    number = {name: at for at, name in enumerate(order, 1)}
    return [_call(problem, name, number) for name in order]


def _thought(problem: Problem, name: str) -> str:
    made = problem.definitions[name]
    assert isinstance(made, Operation)
    sides = f" {made.sign} ".join(_sides(problem, made, {}))
    return f"Thought: {name} = {made} = {sides}\n"


def _result(problem: Problem, name: str) -> str:
    return f"{_call(problem, name)} = {problem.values[name]}"
