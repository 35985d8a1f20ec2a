"""The decoder in PyTorch: RMSNorm, rotary positions, SwiGLU, tied embeddings; and its loss.

Matrices of a kind are stacked over layers, and laid out as inputs x outputs. Beside the plain
network stands one table a layer that marks parallel paths: row j is added to every head's keys and
values of path j, before the rotation (ParaThinker, arXiv:2509.04475, section 3.4). Row 0 is not
used: whatever is not a path computes what the plain network does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tts.backends.reference.training.packing import Batch

__all__ = [
    "MATRICES",
    "SEGMENTS",
    "Inputs",
    "Parameters",
    "Shape",
    "forward",
    "initial",
    "inputs",
    "loss",
]

Parameters = dict[str, Tensor]
MATRICES = ("qkv", "out", "gate_up", "down")
SEGMENTS = 9
_LEARNED_SHARE = 0.66
_HIDDEN_FROM = -1e9


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the model."""

    vocabulary: int
    width: int = 160
    layers: int = 6
    heads: int = 5
    hidden: int = 416
    theta: float = 10000.0
    positions: int = 1024
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class Inputs(NamedTuple):
    """A batch as tensors; only learned places are turned into logits."""

    tokens: Tensor
    bias: Tensor
    """Rows x 1 x width x width: what is added to scores, 0 or a large negative number."""
    cosine: Tensor
    sine: Tensor
    segments: Tensor
    places: Tensor
    """Flat indices of the places whose next token is learned; a fixed number of them."""
    choices: Tensor
    weights: Tensor


def initial(shape: Shape, seed: int) -> Parameters:
    """Return random parameters."""
    rng = np.random.default_rng(seed)

    def normal(*size: int, deviation: float) -> Tensor:
        return torch.from_numpy(rng.normal(0.0, deviation, size).astype(np.float32))

    layers, width, hidden = shape.layers, shape.width, shape.hidden
    depth = (2 * layers) ** -0.5
    return {
        "embedding": normal(shape.vocabulary, width, deviation=0.05),
        "norm": torch.ones(width),
        "attention_norm": torch.ones(layers, width),
        "mlp_norm": torch.ones(layers, width),
        "segments": torch.zeros(layers, SEGMENTS, shape.head_width),
        "qkv": normal(layers, width, 3 * width, deviation=width**-0.5),
        "out": normal(layers, width, width, deviation=width**-0.5 * depth),
        "gate_up": normal(layers, width, 2 * hidden, deviation=width**-0.5),
        "down": normal(layers, hidden, width, deviation=hidden**-0.5 * depth),
    }


def inputs(batch: Batch, shape: Shape) -> Inputs:
    """Return a batch as tensors; places to learn beyond the fixed number are left out."""
    rows, width = batch.tokens.shape
    tokens, branches = (
        torch.from_numpy(batch.tokens).long(),
        torch.from_numpy(batch.branches).long(),
    )
    row = torch.arange(rows)[:, None, None]
    seen = torch.from_numpy(batch.sees)[row, branches[:, :, None], branches[:, None, :]]
    open_to = seen & torch.ones(width, width, dtype=torch.bool).tril()
    bias = torch.where(open_to, 0.0, _HIDDEN_FROM)[:, None]
    positions = torch.from_numpy(batch.positions).long()
    cosine, sine = (table[positions][:, None] for table in _rotations(shape))
    # A place predicts the token after it.
    weights = np.roll(batch.weights, -1, 1).reshape(-1)
    weights[width - 1 :: width] = 0.0
    count = int(_LEARNED_SHARE * rows * width)
    found = np.flatnonzero(weights)[:count]
    places = np.concatenate([found, np.zeros(count - len(found), found.dtype)])
    kept = weights[places] * (np.arange(count) < len(found))
    choices = np.roll(batch.choices, -1, 1).reshape(rows * width, -1)[places]
    segments = torch.from_numpy(batch.segments).long()
    return Inputs(
        tokens,
        bias,
        cosine,
        sine,
        segments,
        torch.from_numpy(places),
        torch.from_numpy(choices).long(),
        torch.from_numpy(kept.astype(np.float32)),
    )


def forward(parameters: Parameters, given: Inputs, shape: Shape) -> Tensor:
    """Return the final states of all places, rows x width x channels."""
    stream = parameters["embedding"][given.tokens]
    for index in range(shape.layers):
        layer = {
            name: parameters[name][index]
            for name in (*MATRICES, "attention_norm", "mlp_norm", "segments")
        }
        normed = _normed(stream, layer["attention_norm"], shape)
        stream = stream + _attention(normed, layer, given, shape)
        gate, up = (_normed(stream, layer["mlp_norm"], shape) @ layer["gate_up"]).chunk(2, -1)
        stream = stream + (functional.silu(gate) * up) @ layer["down"]
    return _normed(stream, parameters["norm"], shape)


def loss(parameters: Parameters, given: Inputs, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return the weighted loss, and the share of learned places whose best guess is right.

    Where several tokens are right, what counts is the probability of all of them together.
    """
    states = forward(parameters, given, shape).reshape(-1, shape.width)[given.places]
    with torch.autocast("cpu", enabled=False):
        logits = states.float() @ parameters["embedding"].T
    present = given.choices >= 0
    picked = logits.gather(-1, given.choices.clamp(min=0))
    right = picked.masked_fill(~present, _HIDDEN_FROM).logsumexp(-1)
    costs = logits.logsumexp(-1) - right
    hits = (logits.argmax(-1, keepdim=True) == given.choices).any(-1)
    total = given.weights.sum()
    return (costs * given.weights).sum() / total, (hits * given.weights).sum() / total


def _attention(normed: Tensor, layer: Parameters, given: Inputs, shape: Shape) -> Tensor:
    rows, width = normed.shape[:2]
    split = (normed @ layer["qkv"]).view(rows, width, 3, shape.heads, shape.head_width)
    query, key, value = split.permute(2, 0, 3, 1, 4)
    marks = layer["segments"][given.segments] * (given.segments > 0)[..., None]
    marked = marks[:, None].to(key.dtype)
    query, key = (_rotated(each, given) for each in (query, key + marked))
    mixed = functional.scaled_dot_product_attention(
        query, key, value + marked, attn_mask=given.bias.to(query.dtype)
    )
    return mixed.transpose(1, 2).reshape(rows, width, shape.width) @ layer["out"]


def _rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    inverse = shape.theta ** (-torch.arange(0, shape.head_width, 2) / shape.head_width)
    angles = torch.arange(shape.positions)[:, None] * inverse[None]
    return angles.cos(), angles.sin()


def _rotated(heads: Tensor, given: Inputs) -> Tensor:
    one, two = heads.float().chunk(2, -1)
    cosine, sine = given.cosine, given.sine
    turned = torch.cat([one * cosine - two * sine, one * sine + two * cosine], -1)
    return turned.to(heads.dtype)


def _normed(stream: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    scale = torch.rsqrt(stream.float().square().mean(-1, keepdim=True) + shape.epsilon)
    return stream * scale * weight
