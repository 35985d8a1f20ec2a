"""The Llama network written out slowly, token by token and head by head, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.weights import LlamaConfig, Tensors

Vector = NDArray[np.float64]


def norm(x: Vector, weight: Vector, epsilon: float) -> Vector:
    scaled: Vector = x / np.sqrt(np.mean(x**2) + epsilon) * weight
    return scaled


def rotated(head: Vector, position: int, theta: float) -> Vector:
    half = len(head) // 2
    out = np.empty_like(head)
    for i in range(half):
        angle = position / theta ** (i / half)
        out[i] = head[i] * np.cos(angle) - head[i + half] * np.sin(angle)
        out[i + half] = head[i + half] * np.cos(angle) + head[i] * np.sin(angle)
    return out


def attended(query: Vector, keys: Sequence[Vector], values: Sequence[Vector]) -> Vector:
    scores = np.array([query @ key for key in keys]) / np.sqrt(len(query))
    weights = np.exp(scores - scores.max())
    mixed: Vector = sum(w * v for w, v in zip(weights, values, strict=True)) / weights.sum()
    return mixed


def oracle_logits(config: LlamaConfig, tensors: Tensors, ids: Sequence[int]) -> Vector:
    """Return the logits [tokens, vocabulary] after each token."""
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    size, group = config.head_size, config.group
    stream = [weights["model.embed_tokens.weight"][token] for token in ids]
    for layer in range(config.num_hidden_layers):
        part = {
            name.split(".", 3)[3].removesuffix(".weight"): tensor
            for name, tensor in weights.items()
            if name.startswith(f"model.layers.{layer}.")
        }
        keys: list[list[Vector]] = []
        values: list[list[Vector]] = []
        for position, x in enumerate(stream):
            h = norm(x, part["input_layernorm"], config.rms_norm_eps)
            q, k, v = ((part[f"self_attn.{n}_proj"] @ h).reshape(-1, size) for n in "qkv")
            keys.append([rotated(head, position, config.rope_theta) for head in k])
            values.append(list(v))
            mixed = [
                attended(
                    rotated(head, position, config.rope_theta),
                    [each[index // group] for each in keys],
                    [each[index // group] for each in values],
                )
                for index, head in enumerate(q)
            ]
            x = x + part["self_attn.o_proj"] @ np.concatenate(mixed)
            h = norm(x, part["post_attention_layernorm"], config.rms_norm_eps)
            gate, up = part["mlp.gate_proj"] @ h, part["mlp.up_proj"] @ h
            stream[position] = x + part["mlp.down_proj"] @ (gate / (1 + np.exp(-gate)) * up)
    name = "model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"
    last = [norm(x, weights["model.norm.weight"], config.rms_norm_eps) for x in stream]
    return np.stack([weights[name] @ x for x in last])
