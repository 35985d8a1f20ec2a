"""The world the bundled model knows: dependency-graph arithmetic, told in two forms, and Countdown.

Every value is an integer of 0..99. A problem belongs to the training or to the test split by a
digest of what it says apart from its wording, so the two can never meet, whatever the seeds.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tts.backends.reference.training.wording import Form, state

__all__ = [
    "NAMES",
    "SIGNS",
    "Definition",
    "Operation",
    "Problem",
    "Split",
    "apply",
    "draw_operation",
    "draw_problem",
    "is_hard",
    "split_of",
]

# fmt: off
NAMES = (
    "apples", "pears", "boxes", "cups", "pens", "books", "cars", "keys", "hats", "bags", "eggs",
    "figs", "nuts", "plums", "limes", "cans", "jars", "mugs", "pots", "pans", "caps", "coats",
    "socks", "shoes", "rings", "beads", "coins", "cards", "toys", "balls", "kites", "bikes",
    "boats", "trees", "roses", "ducks", "hens", "goats", "cows", "pigs", "cats", "dogs", "birds",
    "fish", "horses", "sheep", "mice", "frogs", "bees", "ants", "boys", "girls", "students",
    "teachers", "children", "workers", "players", "farmers", "tables", "chairs", "desks", "lamps",
    "beds", "doors", "windows", "houses", "rooms", "shops", "trucks", "trains", "planes", "ships",
    "marbles", "stickers", "stamps", "candies", "cookies", "cakes", "pies", "pizzas", "sandwiches",
    "oranges", "bananas", "lemons", "grapes", "cherries", "peaches", "melons", "berries",
    "carrots", "potatoes", "tomatoes", "onions", "beans", "pencils", "markers", "crayons",
    "erasers", "rulers", "notebooks", "papers", "letters", "photos", "tickets", "bottles",
    "glasses", "plates", "bowls", "spoons", "forks", "knives", "baskets", "buckets", "shirts",
    "dresses", "gloves", "scarves", "buttons", "flowers", "stones", "shells", "stars", "flags",
    "drums", "bells", "games", "dolls", "blocks", "bricks",
)
# fmt: on
SIGNS = "+-*"
_TEST_SHARE = 8
_TRIES = 24

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Operation:
    """`left sign right`, where an operand is a quantity's name or a number."""

    left: str | int
    sign: str
    right: str | int

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The quantities that must be known first."""
        return tuple(side for side in (self.left, self.right) if isinstance(side, str))

    def operands(self, values: Mapping[str, int]) -> tuple[int, int]:
        """Return both sides as numbers."""
        left, right = (
            values[side] if isinstance(side, str) else side for side in (self.left, self.right)
        )
        return left, right


Definition = int | Operation


@dataclass(frozen=True)
class Problem:
    """Quantities in an order in which they can be computed, and which one is asked for."""

    definitions: Mapping[str, Definition]
    target: str
    shown: tuple[str, ...]
    """The quantities in the order of the text."""
    form: Form = "facts"
    style: int = 0
    """Seed of the wording."""
    values: Mapping[str, int] = field(compare=False, default_factory=dict)

    @cached_property
    def text(self) -> str:
        """The problem as the model reads it."""
        return state(self.definitions, self.target, self.shown, self.form, self.style)

    @property
    def answer(self) -> int:
        """The value asked for."""
        return self.values[self.target]

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the quantities a quantity is computed from."""
        definition = self.definitions[name]
        return definition.needs if isinstance(definition, Operation) else ()

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The quantities the answer depends on, itself among them."""
        found: set[str] = set()
        left = [self.target]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left.extend(self.needs(name))
        return tuple(name for name in self.definitions if name in found)

    @property
    def operations(self) -> int:
        """How many operations the answer takes: the problem's level."""
        return sum(isinstance(self.definitions[name], Operation) for name in self.needed)

    def order(self, rng: random.Random) -> list[str]:
        """Return the needed quantities in a random order in which they can be computed."""
        left, order = list(self.needed), list[str]()
        while left:
            ready = [name for name in left if all(need in order for need in self.needs(name))]
            name = rng.choice(ready)
            left.remove(name)
            order.append(name)
        return order


def apply(left: int, sign: str, right: int) -> int:
    """Return the result of an operation."""
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def is_hard(left: int, sign: str, right: int) -> bool:
    """Return whether an operation carries, borrows, or multiplies two digits."""
    if sign == "+":
        return left % 10 + right % 10 >= 10
    if sign == "-":
        return left % 10 < right % 10
    return max(left, right) >= 10 and min(left, right) >= 2


def split_of(*content: object) -> Split:
    """Return the split that this content belongs to."""
    digest = hashlib.sha256(repr(content).encode()).digest()
    return "train" if digest[0] % _TEST_SHARE else "test"


def draw_operation(rng: random.Random) -> tuple[int, str, int]:
    """Draw an operation on numbers whose result is in range."""
    while True:
        sign = rng.choice(SIGNS)
        if sign == "*":
            left, right = _small(rng, 2, 49), _small(rng, 2, 9)
            if rng.random() < 0.3:
                left, right = right, left
        else:
            left, right = _small(rng, 0, 99, 1.4), _small(rng, 0, 99, 1.4)
        if 0 <= apply(left, sign, right) <= 99:
            return left, sign, right


def draw_problem(rng: random.Random, level: int, form: Form, split: Split) -> Problem:
    """Draw a problem whose answer takes `level` operations, with up to two idle quantities."""
    while True:
        constants = rng.choice((1, 1, 2)) if level <= 2 else rng.choice((1, 2, 2, 3))
        quantities = constants + level + rng.choice((0, 0, 1, 1, 2))
        problem = _attempt(rng, quantities, constants, form)
        if problem is None or problem.operations != level:
            continue
        facts = sorted((name, str(made)) for name, made in problem.definitions.items())
        if split_of(facts, problem.target) == split:
            return problem


def _attempt(rng: random.Random, quantities: int, constants: int, form: Form) -> Problem | None:
    definitions: dict[str, Definition] = {}
    values: dict[str, int] = {}
    wish = rng.random()
    for index, name in enumerate(rng.sample(NAMES, quantities)):
        if index < constants:
            definitions[name] = values[name] = _small(rng, 2, 60)
            continue
        made = _definition(rng, values, rng.random() < wish)
        if made is None:
            return None
        definitions[name] = made
        values[name] = apply(made.operands(values)[0], made.sign, made.operands(values)[1])
    names = list(definitions)
    target = names[-1] if rng.random() < 0.85 else rng.choice(names[constants:])
    shown = rng.sample(names, len(names))
    return Problem(definitions, target, tuple(shown), form, rng.getrandbits(32), values)


def _definition(
    rng: random.Random, values: Mapping[str, int], hard: bool, chain: float = 0.8
) -> Operation | None:
    names, best = list(values), None
    for _ in range(_TRIES):
        sign = rng.choices(SIGNS, (4, 4, 3))[0]
        left: str | int = names[-1] if rng.random() < chain else rng.choice(names)
        right: str | int = _small(rng, 2, 9) if sign == "*" else _small(rng, 2, 50)
        if len(names) > 1 and rng.random() < (0.25 if sign == "*" else 0.6):
            right = rng.choice([name for name in names if name != left])
        if rng.random() < 0.3:
            left, right = right, left
        made = Operation(left, sign, right)
        one, two = made.operands(values)
        if not 0 <= apply(one, sign, two) <= 99 or (sign == "*" and min(one, two) < 2):
            continue
        best = made
        if is_hard(one, sign, two) == hard:
            break
    return best


def _small(rng: random.Random, low: int, high: int, skew: float = 1.6) -> int:
    return low + int((high - low + 1) * rng.random() ** skew)
