"""Rows of tokens: many role branches packed on one problem.

A row holds documents one after the other. A document is a problem, paid for once, and branches:
every branch sees the problem and itself, and its positions go on from the problem's end. So each
branch reads exactly like a conversation of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import drills
from tts.backends.reference.training.countdown import draw_countdown
from tts.backends.reference.training.roles import ROLES, Branch
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import Problem, Split, draw_problem

__all__ = ["Batch", "Corpus", "Encoded", "Row", "Shape"]

_PROMPT_WEIGHT = 0.05
_MISSES = 4
_BRANCHES = 8
_LEAST_ROOM = 40
_SUMS_SHARE = 0.07
_PUZZLE_SHARE = 0.05
_LEAD_SHARE = 0.75
_HELPERS = ((drills.facts, 0.35), (drills.unlock, 0.45), (drills.trace, 0.35))
_LEVEL_WEIGHTS = {1: 6, 2: 10, 3: 18, 4: 22, 5: 22, 6: 22}
_CHOICES = 6


class Encoded(NamedTuple):
    """Tokens with the weights of their loss, and for each the tokens that are as right."""

    ids: list[int]
    weights: list[float]
    choices: list[tuple[int, ...]]


_Draw = Callable[[], Encoded]


class Batch(NamedTuple):
    """Arrays of rows x width."""

    tokens: NDArray[np.int32]
    documents: NDArray[np.int32]
    """0 is padding."""
    branches: NDArray[np.int32]
    """0 is the part that all branches share."""
    positions: NDArray[np.int32]
    weights: NDArray[np.float32]
    """Of each token's loss, given all before it."""
    choices: NDArray[np.int32]
    """Of each token itself and others that are as right; -1 where there are fewer."""


class Shape(NamedTuple):
    """Size of a batch and the levels that fit into it."""

    rows: int
    width: int
    levels: tuple[int, ...]


@dataclass(slots=True)
class _Document:
    number: int
    prefix: list[int]
    capacity: int
    branches: int = 0


class Row:
    """A row being filled.

    Args:
        width: How many tokens it has in the end.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.columns: tuple[list[int], list[int], list[int], list[int], list[float]]
        self.columns = ([], [], [], [], [])
        self.choices: list[tuple[int, ...]] = []
        self._documents = 0

    @property
    def room(self) -> int:
        """How many tokens still fit."""
        return self.width - len(self.columns[0])

    def open(self, prefix: Sequence[int], weight: float, capacity: int) -> _Document:
        """Begin a document with what its branches share."""
        self._documents += 1
        weights = [0.0, *[weight] * (len(prefix) - 1)]
        encoded = Encoded(list(prefix), weights, [()] * len(prefix))
        limit = min(self.width, len(self.columns[0]) + capacity)
        document = _Document(self._documents, list(prefix), limit)
        self._put(document, 0, 0, encoded)
        return document

    def add(self, document: _Document, encoded: Encoded) -> bool:
        """Add a branch, if it fits."""
        if len(self.columns[0]) + len(encoded.ids) > document.capacity:
            return False
        document.branches += 1
        self._put(document, document.branches, len(document.prefix), encoded)
        return True

    def _put(self, document: _Document, branch: int, start: int, encoded: Encoded) -> None:
        size = len(encoded.ids)
        tokens, documents, branches, positions, losses = self.columns
        tokens.extend(encoded.ids)
        documents.extend([document.number] * size)
        branches.extend([branch] * size)
        positions.extend(range(start, start + size))
        losses.extend(encoded.weights)
        self.choices.extend(encoded.choices)

    def padded(self) -> tuple[list[float], ...]:
        """Return the columns, filled up with zeros."""
        return tuple([*column, *[0] * self.room] for column in self.columns)


class Corpus:
    """Batches without end, each a function of the seed and its index alone.

    Args:
        tokenizer: Whose ids the rows hold.
        split: Whether to train or to test.
        seed: Of all that is drawn.
    """

    def __init__(self, tokenizer: Tokenizer, split: Split, seed: int) -> None:
        self.tokenizer = tokenizer
        self.split: Split = split
        self.seed = seed
        self._user, self._assistant, self._end = (
            tokenizer.special(name) for name in ("<|user|>", "<|assistant|>", "<|end|>")
        )
        self._roles = [role for role, _ in ROLES.values()]
        self._weights = [weight for _, weight in ROLES.values()]

    def batch(self, index: int, shape: Shape) -> Batch:
        """Return the batch of this index."""
        rng = random.Random(f"{self.split}:{self.seed}:{index}")
        rows = [self.row(rng, shape) for _ in range(shape.rows)]
        columns = zip(*(row.padded() for row in rows), strict=True)
        tokens, documents, branches, positions, weights = columns
        return Batch(
            np.array(tokens, np.int32),
            np.array(documents, np.int32),
            np.array(branches, np.int32),
            np.array(positions, np.int32),
            np.array(weights, np.float32),
            np.stack([_chosen(row) for row in rows]),
        )

    def row(self, rng: random.Random, shape: Shape) -> Row:
        """Fill one row."""
        row = Row(shape.width)
        while row.room > _LEAST_ROOM:
            kind = rng.random()
            if kind < _SUMS_SHARE or row.room < 110:
                self._sums(row, rng)
            elif kind < _SUMS_SHARE + _PUZZLE_SHARE:
                self._puzzle(row, rng)
            else:
                self._problem(row, rng, shape.levels)
        return row

    def encode(self, branch: Branch, problem: str) -> Encoded:
        """Return a branch's tokens after its problem."""
        if not branch.prompt.startswith(problem):
            raise ValueError("a prompt must begin with its problem")
        tail = branch.prompt[len(problem) :]
        # Inside a text no space is put before a line end; at its start there is one.
        ids = self.tokenizer.encode(tail)[1 if tail and problem else 0 :]
        ids += [self._end, self._assistant]
        weights = [0.0] * len(ids)
        choices: list[tuple[int, ...]] = [()] * len(ids)
        for piece in branch.pieces:
            special = [self.tokenizer.special(piece.text)] if piece.control else None
            more = special or self.tokenizer.encode(piece.text)
            ids += more
            weights += [float(piece.learn)] * len(more)
            others = {self.tokenizer.encode(choice)[0] for choice in piece.choices} - {more[0]}
            choices += [tuple(sorted(others)), *[()] * (len(more) - 1)]
        return Encoded([*ids, self._end], [*weights, 1.0], [*choices, ()])

    def _sums(self, row: Row, rng: random.Random) -> None:
        document = row.open([self._user], 0.0, rng.choice((60, 110)))
        self._fill(row, document, lambda: self.encode(drills.sums(rng), ""))

    def _puzzle(self, row: Row, rng: random.Random) -> None:
        made = draw_countdown(rng, self.split)
        prefix = [self._user, *self.tokenizer.encode(made.text)]
        document = row.open(prefix, _PROMPT_WEIGHT, rng.choice((90, 140)))
        self._fill(
            row, document, lambda: self.encode(drills.puzzle(made, rng, self.split), made.text)
        )

    def _problem(self, row: Row, rng: random.Random, levels: Sequence[int]) -> None:
        problem = self._drawn(row.room, rng, levels)
        prefix = [self._user, *self.tokenizer.encode(problem.text)]
        document = row.open(prefix, _PROMPT_WEIGHT, row.width)
        solve = ROLES["solve"][0]
        lead = [solve] if rng.random() < _LEAD_SHARE else []
        lead += [helper for helper, share in _HELPERS if rng.random() < share]

        def draw() -> Encoded:
            role = lead.pop(0) if lead else rng.choices(self._roles, self._weights)[0]
            return self.encode(role(problem, rng), problem.text)

        self._fill(row, document, draw)

    def _drawn(self, room: int, rng: random.Random, levels: Sequence[int]) -> Problem:
        """Draw a problem that leaves room for its solution."""
        fitting = [level for level in levels if room >= 60 + 34 * level] or [1]
        level = rng.choices(fitting, [_LEVEL_WEIGHTS[level] for level in fitting])[0]
        return draw_problem(rng, level, rng.choice(FORMS), self.split)

    def _fill(self, row: Row, document: _Document, draw: _Draw) -> None:
        misses = 0
        while misses < _MISSES and document.branches < _BRANCHES:
            misses += not row.add(document, draw())


def _chosen(row: Row) -> NDArray[np.int32]:
    table = np.full((row.width, _CHOICES), -1, np.int32)
    table[: len(row.choices), 0] = row.columns[0]
    for place, others in enumerate(row.choices):
        kept = others[: _CHOICES - 1]
        table[place, 1 : 1 + len(kept)] = kept
    return table
