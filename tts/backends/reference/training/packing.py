"""Rows of tokens: many branches packed on one problem, each seeing only what it may.

A row holds documents one after the other. A document is a problem, paid for once, and branches:
every branch sees the problem and itself, and its positions go on from the problem's end. So each
branch reads exactly like a conversation of its own. A summary sees several branches at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Encoded", "Row", "batch_of"]

_CHOICES = 6
BRANCHES = 64
"""Most branches of a row, each document's problem counted as one; 0 is padding."""


class Encoded(NamedTuple):
    """Tokens with the weights of their loss, and for each the tokens that are as right."""

    ids: list[int]
    weights: list[float]
    choices: list[tuple[int, ...]]


class Batch(NamedTuple):
    """Arrays of rows x width, and for each row which branch sees which."""

    tokens: NDArray[np.int32]
    branches: NDArray[np.int32]
    """0 is padding."""
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    """The number of the parallel path a token belongs to; 0 for all else."""
    weights: NDArray[np.float32]
    """Of each token's loss, given all before it."""
    choices: NDArray[np.int32]
    """Of each token itself and others that are as right; -1 where there are fewer."""
    sees: NDArray[np.bool_]
    """Rows x BRANCHES x BRANCHES: whether a branch sees another, or itself."""


class Row:
    """A row being filled.

    Args:
        width: How many tokens it has in the end.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.tokens: list[int] = []
        self.branches: list[int] = []
        self.positions: list[int] = []
        self.segments: list[int] = []
        self.weights: list[float] = []
        self.choices: list[tuple[int, ...]] = []
        self.sees = np.zeros((BRANCHES, BRANCHES), np.bool_)
        self._ends: list[int] = [0]

    @property
    def room(self) -> int:
        """How many tokens still fit."""
        return self.width - len(self.tokens)

    @property
    def count(self) -> int:
        """Branches so far."""
        return len(self._ends) - 1

    def fits(self, *parts: Encoded) -> bool:
        """Return whether there is room for all of these."""
        return (
            sum(len(part.ids) for part in parts) <= self.room and self.count + len(parts) < BRANCHES
        )

    def add(self, encoded: Encoded, sees: Sequence[int] = (), segment: int = 0) -> int:
        """Append a branch and return its number.

        Args:
            encoded: Its tokens.
            sees: The branches it sees beside itself; it begins where the longest of them ends.
            segment: The parallel path that it is.
        """
        number, size = self.count + 1, len(encoded.ids)
        start = max((self._ends[each] for each in sees), default=0)
        self._ends.append(start + size)
        self.sees[number, [number, *sees]] = True
        self.tokens += encoded.ids
        self.branches += [number] * size
        self.positions += range(start, start + size)
        self.segments += [segment] * size
        self.weights += encoded.weights
        self.choices += encoded.choices
        return number


def batch_of(rows: Sequence[Row]) -> Batch:
    """Return rows of one width as arrays, filled up with zeros."""

    def column(name: str) -> NDArray[np.int32]:
        return np.array([[*getattr(row, name), *[0] * row.room] for row in rows], np.int32)

    return Batch(
        column("tokens"),
        column("branches"),
        column("positions"),
        column("segments"),
        np.array([[*row.weights, *[0.0] * row.room] for row in rows], np.float32),
        np.stack([_chosen(row) for row in rows]),
        np.stack([row.sees for row in rows]),
    )


def _chosen(row: Row) -> NDArray[np.int32]:
    table = np.full((row.width, _CHOICES), -1, np.int32)
    table[: len(row.tokens), 0] = row.tokens
    for place, others in enumerate(row.choices):
        kept = others[: _CHOICES - 1]
        table[place, 1 : 1 + len(kept)] = kept
    return table
