"""How a problem is told: as a list of facts, or in short sentences in several phrasings."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tts.backends.reference.training.world import Definition, Operation

__all__ = ["FORMS", "Form", "state"]

Form = Literal["facts", "sentences"]
FORMS: tuple[Form, ...] = ("facts", "sentences")

_SIGN_WORDS = {"+": "plus", "-": "minus", "*": "times"}
_CONSTANT = (
    "There are {value} {name}.",
    "There are {value} {name}.",
    "The number of {name} is {value}.",
    "I have {value} {name}.",
    "We count {value} {name}.",
)
# Phrasings by which sides are names, for `left sign right` in exactly this order.
_NAME_NUMBER = {
    "+": (
        "There are {right} more {name} than {left}.",
        "There are {right} more {name} than {left}.",
        "The number of {name} is {right} more than the number of {left}.",
    ),
    "-": (
        "There are {right} fewer {name} than {left}.",
        "There are {right} fewer {name} than {left}.",
        "The number of {name} is {right} less than the number of {left}.",
    ),
    "*": (),
}
_NUMBER_NAME = {
    "+": (),
    "-": (),
    "*": (
        "The number of {name} is {left} times the number of {right}.",
        "There are {left} times as many {name} as {right}.",
    ),
}
_NAME_NAME = {
    "+": (
        "There are as many {name} as {left} and {right} together.",
        "The number of {name} is the sum of {left} and {right}.",
    ),
    "-": ("The number of {name} is the difference of {left} and {right}.",),
    "*": ("The number of {name} is the product of {left} and {right}.",),
}
_QUESTIONS = (
    "How many {name} are there?",
    "How many {name} are there?",
    "How many {name} are there?",
    "What is the number of {name}?",
    "Find the number of {name}.",
)


def state(
    definitions: Mapping[str, Definition],
    target: str,
    shown: Sequence[str],
    form: Form,
    style: int,
) -> str:
    """Return the text of a problem.

    Args:
        definitions: What each quantity is.
        target: The quantity asked for.
        shown: The order in which quantities are told.
        form: List or sentences.
        style: Seed of the phrasings; a list of facts has only one.
    """
    if form == "facts":
        lines = [f"{name} = {definitions[name]}" for name in shown]
        return "\n".join(["Facts:", *lines, f"Question: {target}?"])
    rng = random.Random(style)
    between = "\n" if rng.random() < 0.25 else " "
    sentences = [_sentence(name, definitions[name], rng) for name in shown]
    return between.join([*sentences, rng.choice(_QUESTIONS).format(name=target)])


def _sentence(name: str, definition: Definition, rng: random.Random) -> str:
    if isinstance(definition, int):
        return rng.choice(_CONSTANT).format(name=name, value=definition)
    special = _special(definition)
    if special and rng.random() < 0.75:
        phrase = rng.choice(special)
        return phrase.format(name=name, left=definition.left, right=definition.right)
    left, right = (
        f"the number of {side}" if isinstance(side, str) else str(side)
        for side in (definition.left, definition.right)
    )
    return f"The number of {name} is {left} {_SIGN_WORDS[definition.sign]} {right}."


def _special(definition: Operation) -> tuple[str, ...]:
    if isinstance(definition.left, int):
        return _NUMBER_NAME[definition.sign]
    return (_NAME_NUMBER if isinstance(definition.right, int) else _NAME_NAME)[definition.sign]
