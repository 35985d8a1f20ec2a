"""Small programs of several functions that count their own steps: drawn, traced, and written.

A program works on one whole number x. It counts a step for every call, every assignment to x,
every arm of a branch that is taken, and every iteration of a loop; written as Python it says so
itself, by `steps += 1`, so that the rule needs no interpretation. `trace` counts the same without
running any text.

Source: after SX-Bench (counting `run_steps` of programs composed in sequence, by branches and by
loops); the generator is our own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = [
    "Assign",
    "Branch",
    "Call",
    "Program",
    "Repeat",
    "Shape",
    "Shrink",
    "Trace",
    "draw_program",
    "trace",
    "written",
]

_MOST_STEPS: Final = 5000
_LARGEST: Final = 10**6
_INDICES: Final = "ijkl"


@dataclass(frozen=True, slots=True)
class Assign:
    """`x = x sign number`; in a loop of a function maybe `x = x + i * number`."""

    sign: str
    number: int
    by_index: bool = False


@dataclass(frozen=True, slots=True)
class Shrink:
    """`x = x % modulus`, and then `by` is taken away while x is at least that."""

    modulus: int
    by: int


@dataclass(frozen=True, slots=True)
class Call:
    """`x = function(x)`: a call and an assignment."""

    function: str


@dataclass(frozen=True, slots=True)
class Branch:
    """`if x % modulus == remainder`."""

    modulus: int
    remainder: int
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    key: int
    """Tells the branches of a program apart."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """`for i in range(times)`."""

    times: int
    body: tuple[Statement, ...]


Statement: TypeAlias = Assign | Shrink | Call | Branch | Repeat


@dataclass(frozen=True, slots=True)
class Program:
    """Functions by name, and what `main` does."""

    functions: Mapping[str, tuple[Statement, ...]]
    main: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What sort of program is drawn."""

    leaves: int
    """Functions that `main` may call."""
    depth: int
    """How deep branches and loops nest in `main`."""
    parts: int
    """Statements of `main`, at most."""
    times: int
    """Most iterations of a counted loop."""


@dataclass(slots=True)
class Trace:
    """What a program does on one input."""

    value: int
    most: int
    """Steps that it may take."""
    steps: int = 0
    arms: set[tuple[int, bool]] = field(default_factory=set)
    """Branches by key, and which of their arms was taken."""


class _TooLong(Exception):
    """More steps, or a larger number, than a reader should follow."""


def trace(program: Program, x: int, most: int = _MOST_STEPS) -> Trace | None:
    """Count a program's steps on an input; None beyond `most` steps or values of a million."""
    found = Trace(x, most)
    try:
        _step(found, x)
        _follow(program, program.main, found, 0)
    except _TooLong:
        return None
    return found


def _step(at: Trace, value: int) -> None:
    at.value = value
    at.steps += 1
    if at.steps > at.most or not -_LARGEST <= value <= _LARGEST:
        raise _TooLong


def _follow(program: Program, body: Sequence[Statement], at: Trace, index: int) -> None:
    for statement in body:
        match statement:
            case Assign(sign, number, by_index):
                _step(at, _applied(at.value, sign, number * index if by_index else number))
            case Call(function):
                _step(at, at.value)
                _follow(program, program.functions[function], at, 0)
                _step(at, at.value)
            case Branch(modulus, remainder, then, otherwise, key):
                taken = at.value % modulus == remainder
                at.arms.add((key, taken))
                _step(at, at.value)
                _follow(program, then if taken else otherwise, at, index)
            case Repeat(times, inner):
                for turn in range(times):
                    _step(at, at.value)
                    _follow(program, inner, at, turn)
            case Shrink(modulus, by):
                _step(at, at.value % modulus)
                while at.value >= by:
                    _step(at, at.value)
                    _step(at, at.value - by)


def _applied(value: int, sign: str, number: int) -> int:
    match sign:
        case "+":
            return value + number
        case "-":
            return value - number
        case "*":
            return value * number
    return value % number


def draw_program(rng: random.Random, shape: Shape) -> Program:
    """Draw a program; functions that `main` does not call are left out."""
    keys = iter(range(1000))
    leaves = [_leaf(rng, keys) for _ in range(shape.leaves)]
    parts = rng.randint(1, shape.parts)
    main = [part for _ in range(parts) for part in _composed(rng, shape, shape.depth, keys)]
    used = sorted({call for part in main for call in _calls(part)})
    names = {leaf: f"f{place}" for place, leaf in enumerate(used, 1)}
    functions = {name: leaves[int(leaf)] for leaf, name in names.items()}
    return Program(functions, tuple(_named(part, names) for part in main))


def _leaf(rng: random.Random, keys: Iterator[int]) -> tuple[Statement, ...]:
    kind = rng.choice(("chain", "guard", "sum", "shrink"))
    if kind == "chain":
        return tuple(_assign(rng) for _ in range(rng.randint(2, 3)))
    if kind == "guard":
        modulus = rng.randint(2, 5)
        then, otherwise = (tuple(_assign(rng) for _ in range(rng.randint(1, 2))) for _ in range(2))
        return (Branch(modulus, rng.randrange(modulus), then, otherwise, next(keys)),)
    if kind == "sum":
        added = Assign("+", rng.randint(1, 5), by_index=True)
        return (Repeat(rng.randint(2, 3), (added,)), Assign("%", rng.randint(7, 30)))
    return (Shrink(rng.randint(7, 20), rng.randint(3, 7)),)


def _assign(rng: random.Random) -> Assign:
    sign = rng.choice("++--*%")
    low, high = {"*": (2, 3), "%": (6, 40)}.get(sign, (1, 12))
    return Assign(sign, rng.randint(low, high))


def _composed(
    rng: random.Random, shape: Shape, depth: int, keys: Iterator[int]
) -> tuple[Statement, ...]:
    """A sequence, a branch or a loop over calls; calls are numbers until they get names."""
    kind = rng.choice(("sequence", "branch", "loop")) if depth else "call"
    if kind == "call":
        return (Call(str(rng.randrange(shape.leaves))),)
    if kind == "loop":
        body = _composed(rng, shape, depth - 1, keys)
        return (Repeat(rng.randint(2, shape.times), body),)
    first, second = (_composed(rng, shape, depth - 1, keys) for _ in range(2))
    if kind == "sequence":
        return first + second
    modulus = rng.randint(2, 5)
    return (Branch(modulus, rng.randrange(modulus), first, second, next(keys)),)


def _calls(part: Statement) -> Iterator[str]:
    match part:
        case Call(function):
            yield function
        case Branch(_, _, then, otherwise):
            for inner in then + otherwise:
                yield from _calls(inner)
        case Repeat(_, body):
            for inner in body:
                yield from _calls(inner)


def _named(part: Statement, names: Mapping[str, str]) -> Statement:
    match part:
        case Call(function):
            return Call(names[function])
        case Branch(modulus, remainder, then, otherwise, key):
            first, second = (
                tuple(_named(inner, names) for inner in arm) for arm in (then, otherwise)
            )
            return Branch(modulus, remainder, first, second, key)
        case Repeat(times, body):
            return Repeat(times, tuple(_named(inner, names) for inner in body))
    return part


def written(program: Program) -> str:
    """Return the program as Python that counts its steps in the global `steps`."""
    functions = [*program.functions.items(), ("main", program.main)]
    return "steps = 0\n" + "".join(
        f"\n\ndef {name}(x):\n    global steps\n    steps += 1\n"
        + "".join(f"    {line}\n" for line in _lines(body, 0))
        + "    return x\n"
        for name, body in functions
    )


def _lines(body: Sequence[Statement], loops: int) -> Iterator[str]:
    for statement in body:
        match statement:
            case Assign(sign, number, by_index):
                other = f"{_INDICES[loops - 1]} * {number}" if by_index else str(number)
                yield from (f"x = x {sign} {other}", "steps += 1")
            case Shrink(modulus, by):
                yield from (f"x = x % {modulus}", "steps += 1", f"while x >= {by}:")
                yield from ("    steps += 1", f"    x = x - {by}", "    steps += 1")
            case Call(function):
                yield from (f"x = {function}(x)", "steps += 1")
            case Branch(modulus, remainder, then, otherwise):
                for head, arm in (f"if x % {modulus} == {remainder}:", then), ("else:", otherwise):
                    yield from (head, "    steps += 1")
                    yield from (f"    {line}" for line in _lines(arm, loops))
            case Repeat(times, inner):
                yield from (f"for {_INDICES[loops]} in range({times}):", "    steps += 1")
                yield from (f"    {line}" for line in _lines(inner, loops + 1))
