"""Drawing tokens from logits, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.blas import Array

__all__ = ["DEFAULT", "Draw", "Settings", "draw", "log_probabilities", "uniforms"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How one row's tokens are drawn.

    Attributes:
        temperature: At least 0; 0 takes the most probable token.
        top_p: In (0, 1]; keep the smallest set of tokens with this mass.
        top_k: At least 1; keep so many tokens; None keeps all.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None


DEFAULT = Settings()
"""The model's own distribution."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn.

    Attributes:
        tokens: [rows] ids.
        log_probabilities: [rows] of these tokens at temperature 1, natural logarithm.
    """

    tokens: NDArray[np.intp]
    log_probabilities: NDArray[np.float64]


def uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """Return a row's uniform numbers in [0, 1), one a step; they depend on the seed alone.

    Args:
        seed: At least 0.
        count: How many; a longer sequence begins with the shorter one.
    """
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def log_probabilities(logits: Array) -> Array:
    """Return the log-probabilities at temperature 1 of [rows, vocabulary] logits."""
    shifted: Array = logits - logits.max(-1, keepdims=True)
    masses: Array = np.exp(shifted).sum(-1, keepdims=True)
    logs: Array = shifted - np.log(masses)
    return logs


def draw(logits: Array, settings: Sequence[Settings], uniform: NDArray[np.float64]) -> Draw:
    """Draw one token for each row.

    Args:
        logits: [rows, vocabulary].
        settings: For each row.
        uniform: For each row, in [0, 1): where in the distribution's cumulative sum to look.
    """
    shifted = logits - logits.max(-1, keepdims=True)
    weights = np.exp(shifted)
    masses = np.log(weights.sum(-1))
    temperature = np.array([each.temperature for each in settings], logits.dtype)
    tokens = shifted.argmax(-1)
    rows = np.flatnonzero(temperature > 0)
    if len(rows):
        if np.any(temperature != 1):
            heat = temperature[rows, None]
            weights = np.exp(shifted[rows] / heat)
        _restrict(weights, [settings[row] for row in rows.tolist()])
        tokens[rows] = _invert(weights, uniform[rows])
    found = np.take_along_axis(shifted, tokens[:, None], -1)[:, 0] - masses
    return Draw(tokens, np.minimum(found, 0.0).astype(np.float64))


def _invert(weights: Array, uniform: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each row the first token whose cumulative weight exceeds `uniform` of the sum."""
    cumulative = np.cumsum(weights, axis=-1, dtype=np.float64)
    total = cumulative[:, -1]
    # Rounding must not carry the target to the sum itself, which no token exceeds.
    target = np.minimum(uniform * total, np.nextafter(total, 0.0))
    found: NDArray[np.intp] = np.argmax(cumulative > target[:, None], axis=-1)
    return found


def _restrict(weights: Array, settings: Sequence[Settings]) -> None:
    """Set to 0, in place, the weights of tokens that top-k and then top-p leave out.

    Of tokens with the same weight the first stay.
    """
    size = weights.shape[1]
    limits = np.array([min(each.top_k or size, size) for each in settings])
    shares = np.array([each.top_p for each in settings])
    rows = np.flatnonzero((limits < size) | (shares < 1))
    if not len(rows):
        return
    chosen = weights[rows]
    order = np.argsort(-chosen, axis=-1, kind="stable")
    ordered = np.take_along_axis(chosen, order, -1).astype(np.float64)
    ordered[np.arange(size) >= limits[rows, None]] = 0.0
    cumulative = np.cumsum(ordered, axis=-1)
    before = cumulative - ordered
    shares[shares == 1] = np.inf
    ordered[before >= shares[rows, None] * cumulative[:, -1:]] = 0.0
    np.put_along_axis(chosen, order, ordered.astype(weights.dtype), -1)
    weights[rows] = chosen
