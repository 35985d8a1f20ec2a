"""What n stored samples of a problem say about fewer: pass@k, the vote of k, and intervals."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "coverage_curve", "interval", "pass_at_k", "vote_curve", "vote_shares", "winners",
]  # fmt: skip

PERMUTATIONS: Final = 64
"""Random orders of a problem's samples over which a vote's curve is averaged."""

Floats = NDArray[np.float64]


def pass_at_k(right: int, n: int, k: int) -> float:
    """Return the chance that at least one of k samples is right, from n of which some are.

    Args:
        right: Right samples, in [0, n].
        n: Samples drawn; at least k.
        k: Samples a user would draw; at least 1.

    Source: Chen et al. 2021, arXiv:2107.03374, eq. 1 (unbiased).

    >>> pass_at_k(1, n=4, k=2)
    0.5
    """
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def coverage_curve(correct: Sequence[bool], sizes: Sequence[int]) -> list[float]:
    """Return pass@k of one problem for each k in `sizes`, none larger than its samples."""
    return [pass_at_k(sum(correct), len(correct), size) for size in sizes]


def winners(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the plain vote's winner after each sample, ties to the first.

    Args:
        codes: Answers as numbers from 0, -1 for an abstention; shape (orders, n).

    Returns:
        Numbers of answers, -1 while there is none; shape as `codes`.
    """
    kinds = int(codes.max(initial=-1)) + 1
    if kinds == 0:
        return np.full_like(codes, -1)
    given = codes[:, :, None] == np.arange(kinds)
    counts = given.cumsum(1)
    first = np.where(given.any(1), given.argmax(1), codes.shape[1])
    standing = np.where(counts > 0, counts * (codes.shape[1] + 1) - first[:, None, :], -1)
    return np.where(counts.any(2), standing.argmax(2), -1)


def vote_curve(
    answers: Sequence[str | None], right: str | Collection[str], rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Return how often the vote of N = 1..n samples of a problem is right.

    Args:
        answers: Canonical; None abstains.
        right: The right answer, canonical, or all answers that are right.
        rng: Draws the orders.

    Returns:
        Shares over random orders, shape (n,); and the orders, shape (orders, n).
    """
    orders = rng.permuted(np.tile(np.arange(len(answers)), (PERMUTATIONS, 1)), axis=1)
    return vote_shares(answers, right, orders), orders


def vote_shares(
    answers: Sequence[str | None], right: str | Collection[str], orders: NDArray[np.int64]
) -> Floats:
    """Return the share of given orders, shape (orders, n), in which the vote of N is right."""
    known = sorted({answer for answer in answers if answer is not None})
    code = {answer: at for at, answer in enumerate(known)}
    codes = np.array([-1 if answer is None else code[answer] for answer in answers])
    accepted = {right} if isinstance(right, str) else right
    wanted = [code[answer] for answer in accepted if answer in code]
    shares: Floats = np.isin(winners(codes[orders]), wanted).mean(0)
    return shares


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the quantiles of resampled values that leave `(1 - level) / 2` on each side."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
