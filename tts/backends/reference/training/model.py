"""The decoder in JAX: RMSNorm, rotary positions, SwiGLU, tied embeddings; and its loss.

Matrices of a kind are stacked over layers, and laid out as inputs x outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from tts.backends.reference.training.corpus import Batch

__all__ = ["MATRICES", "Parameters", "Shape", "forward", "initial", "loss"]

Parameters = dict[str, jax.Array]
MATRICES = ("qkv", "out", "gate_up", "down")


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the model."""

    vocabulary: int
    width: int = 128
    layers: int = 5
    heads: int = 4
    hidden: int = 352
    theta: float = 10000.0
    positions: int = 768
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def initial(shape: Shape, seed: int) -> Parameters:
    """Return random parameters."""
    rng = np.random.default_rng(seed)

    def normal(*size: int, deviation: float) -> jax.Array:
        return jnp.asarray(rng.normal(0.0, deviation, size), jnp.float32)

    layers, width, hidden = shape.layers, shape.width, shape.hidden
    depth = (2 * layers) ** -0.5
    return {
        "embedding": normal(shape.vocabulary, width, deviation=0.05),
        "norm": jnp.ones(width),
        "attention_norm": jnp.ones((layers, width)),
        "mlp_norm": jnp.ones((layers, width)),
        "qkv": normal(layers, width, 3 * width, deviation=width**-0.5),
        "out": normal(layers, width, width, deviation=width**-0.5 * depth),
        "gate_up": normal(layers, width, 2 * hidden, deviation=width**-0.5),
        "down": normal(layers, hidden, width, deviation=hidden**-0.5 * depth),
    }


def forward(parameters: Parameters, batch: Batch, shape: Shape) -> jax.Array:
    """Return the logits of every next token."""
    cosine, sine = (table[batch.positions][:, None] for table in _rotations(shape))
    bias = jnp.where(_sees(batch), 0.0, -1e9)[:, None]
    stream = parameters["embedding"][batch.tokens]
    for index in range(shape.layers):
        layer = {
            name: parameters[name][index] for name in (*MATRICES, "attention_norm", "mlp_norm")
        }
        normed = _normed(stream, layer["attention_norm"], shape.epsilon)
        stream = stream + _attention(normed, layer, cosine, sine, bias, shape)
        normed = _normed(stream, layer["mlp_norm"], shape.epsilon)
        gate, up = jnp.split(normed @ layer["gate_up"], 2, -1)
        stream = stream + (jax.nn.silu(gate) * up) @ layer["down"]
    return _normed(stream, parameters["norm"], shape.epsilon) @ parameters["embedding"].T


def loss(
    parameters: Parameters, batch: Batch, shape: Shape
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Return the weighted loss, and loss and accuracy over the responses alone.

    Where several tokens are right, what counts is the probability of all of them together.
    """
    # The last token predicts nothing, but even widths make for faster products.
    logits = forward(parameters, batch, shape)
    choices = jnp.roll(batch.choices, -1, 1)
    weights = jnp.roll(batch.weights, -1, 1).at[:, -1].set(0.0)
    picked = jnp.take_along_axis(logits, jnp.maximum(choices, 0), -1)
    right = jax.nn.logsumexp(jnp.where(choices >= 0, picked, -1e9), -1)
    costs = jax.nn.logsumexp(logits, -1) - right
    response = (weights >= 1.0).astype(jnp.float32)
    hits = (logits.argmax(-1)[..., None] == choices).any(-1) * response
    total = response.sum()
    aside = ((costs * response).sum() / total, hits.sum() / total)
    return (costs * weights).sum() / weights.sum(), aside


def _sees(batch: Batch) -> jax.Array:
    """Which token may look at which: earlier, of its document, shared or of its own branch."""
    place = jnp.arange(batch.tokens.shape[1])
    documents, branches = batch.documents, batch.branches
    same = documents[:, :, None] == documents[:, None, :]
    open_to = (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
    return (place[:, None] >= place[None]) & same & open_to


def _attention(
    normed: jax.Array,
    layer: Parameters,
    cosine: jax.Array,
    sine: jax.Array,
    bias: jax.Array,
    shape: Shape,
) -> jax.Array:
    rows, width = normed.shape[:2]
    split = (normed @ layer["qkv"]).reshape(rows, width, 3, shape.heads, shape.head_width)
    query, key, value = split.transpose(2, 0, 3, 1, 4)
    query, key = (_rotated(each, cosine, sine) for each in (query, key))
    scores = (query * shape.head_width**-0.5) @ key.swapaxes(-1, -2) + bias
    powers = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    mixed = powers @ value / powers.sum(-1, keepdims=True)
    return mixed.transpose(0, 2, 1, 3).reshape(rows, width, shape.width) @ layer["out"]


def _rotations(shape: Shape) -> tuple[jax.Array, jax.Array]:
    inverse = shape.theta ** (-np.arange(0, shape.head_width, 2) / shape.head_width)
    angles = np.arange(shape.positions)[:, None] * inverse[None]
    return jnp.asarray(np.cos(angles), jnp.float32), jnp.asarray(np.sin(angles), jnp.float32)


def _rotated(heads: jax.Array, cosine: jax.Array, sine: jax.Array) -> jax.Array:
    one, two = jnp.split(heads, 2, -1)
    return jnp.concatenate([one * cosine - two * sine, one * sine + two * cosine], -1)


def _normed(stream: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return stream * jax.lax.rsqrt(jnp.mean(stream * stream, -1, keepdims=True) + epsilon) * weight
