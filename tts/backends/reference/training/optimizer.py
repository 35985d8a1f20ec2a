"""Muon for the hidden matrices, Adam for embeddings and norms."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tts.backends.reference.training.corpus import Batch
from tts.backends.reference.training.model import MATRICES, Parameters, Shape, loss

__all__ = ["State", "fresh", "step"]

_MUON_RATE = 0.02
_ADAM_RATE = 4e-3
_MOMENTUM = 0.95
_SQUARES = 0.98
_DECAY = 0.05
_CLIP = 2.0
# Coefficients of a quintic that drives singular values towards 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class State(NamedTuple):
    """Running means of gradients and, for Adam, of their squares."""

    means: Parameters
    squares: Parameters


def fresh(parameters: Parameters) -> State:
    """Return the state before the first step."""
    means = {name: jnp.zeros_like(value) for name, value in parameters.items()}
    others = {name: value for name, value in parameters.items() if name not in MATRICES}
    return State(means, {name: jnp.zeros_like(value) for name, value in others.items()})


def step(
    parameters: Parameters,
    state: State,
    batch: Batch,
    rate: jax.Array,
    count: jax.Array,
    shape: Shape,
) -> tuple[Parameters, State, tuple[jax.Array, jax.Array]]:
    """Take one step.

    Args:
        parameters: Of the model.
        state: Of the optimizer.
        batch: To learn from.
        rate: Share of the full learning rates.
        count: Steps taken since the state was fresh, this one included.
        shape: Of the model.
    """
    (_, aside), gradients = jax.value_and_grad(loss, has_aux=True)(parameters, batch, shape)
    gradients = _clipped(gradients)
    means = {
        name: _MOMENTUM * state.means[name] + (1 - _MOMENTUM) * each
        for name, each in gradients.items()
    }
    squares = {
        name: _SQUARES * old + (1 - _SQUARES) * gradients[name] ** 2
        for name, old in state.squares.items()
    }
    ahead = {name: _MOMENTUM * means[name] + (1 - _MOMENTUM) * gradients[name] for name in MATRICES}
    fresher = {}
    for name, update in _orthogonal(ahead, shape).items():
        kept = parameters[name] * (1 - rate * _MUON_RATE * _DECAY)
        fresher[name] = kept - rate * _MUON_RATE * update
    for name, square in squares.items():
        root = jnp.sqrt(square / (1 - _SQUARES**count)) + 1e-8
        update = means[name] / (1 - _MOMENTUM**count) / root
        fresher[name] = parameters[name] - rate * _ADAM_RATE * update
    return fresher, State(means, squares), aside


def _clipped(gradients: Parameters) -> Parameters:
    size = jnp.sqrt(sum((each * each).sum() for each in gradients.values()))
    scale = jnp.minimum(1.0, _CLIP / size)
    return {name: each * scale for name, each in gradients.items()}


def _orthogonal(ahead: Parameters, shape: Shape) -> Parameters:
    """Orthogonalize each matrix; equal shapes go together, to be one product."""
    layers, width, hidden = shape.layers, shape.width, shape.hidden
    parts = [*jnp.split(ahead["qkv"], 3, 2), ahead["out"]]
    query, key, value, out = jnp.split(_newton_schulz(jnp.concatenate(parts)), 4)
    parts = [*jnp.split(ahead["gate_up"], 2, 2), ahead["down"].swapaxes(1, 2)]
    gate, up, down = jnp.split(_newton_schulz(jnp.concatenate(parts)), 3)
    assert out.shape == (layers, width, width)
    return {
        "qkv": jnp.concatenate([query, key, value], 2),
        "out": out,
        "gate_up": jnp.concatenate([gate, up], 2) * (hidden / width) ** 0.5,
        "down": down.swapaxes(1, 2),
    }


def _newton_schulz(stack: jax.Array, rounds: int = 5) -> jax.Array:
    first, third, fifth = _QUINTIC
    value = stack / (jnp.linalg.norm(stack, axis=(1, 2), keepdims=True) + 1e-7)
    for _ in range(rounds):
        square = value @ value.swapaxes(1, 2)
        value = first * value + (third * square + fifth * square @ square) @ value
    return value
