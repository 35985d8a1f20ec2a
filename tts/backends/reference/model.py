"""The network: a Llama decoder, its weights folded for inference by numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.attention import Attention
from tts.backends.reference.blas import FAST, Array, Projection, Tiling, exact_tiling
from tts.backends.reference.weights import LlamaConfig, Tensors

__all__ = ["Buffers", "Transformer"]

Complex = NDArray[np.complexfloating]

_KEPT_ROWS = 96
"""Buffers of at most so many rows are kept for the next step."""


@dataclass(frozen=True, slots=True)
class _Layer:
    attend_in: Projection
    attend_out: Projection
    mlp_in: Projection
    mlp_out: Projection


class _Scratch:
    """Arrays for `rows` tokens on their way through a layer."""

    def __init__(self, config: LlamaConfig, rows: int, dtype: np.dtype[np.floating]) -> None:
        heads, keys = config.num_attention_heads, config.num_key_value_heads
        size, inner = config.head_size, config.intermediate_size

        def array(*shape: int) -> Array:
            return np.zeros((rows, *shape), dtype)

        self.x, self.normed, self.added = (array(config.hidden_size) for _ in range(3))
        self.qkv = array((heads + 2 * keys) * size)
        self.rotated, self.mixed = array(heads + keys, size), array(heads, size)
        self.gate_up, self.gated, self.sigmoid = array(2 * inner), array(inner), array(inner)
        self.logits = array(config.vocab_size)


class Buffers:
    """Arrays that one user of a `Transformer` works in; not to be shared between threads."""

    def __init__(self) -> None:
        self._kept: dict[int, _Scratch] = {}

    def of(self, config: LlamaConfig, rows: int, dtype: np.dtype[np.floating]) -> _Scratch:
        """Return arrays for so many rows, with anything in them that is finite."""
        if rows in self._kept:
            return self._kept[rows]
        scratch = _Scratch(config, rows, dtype)
        if rows <= _KEPT_ROWS:
            self._kept[rows] = scratch
        return scratch


class Transformer:
    """Token ids and positions in, logits out.

    Norms and the attention's scale are folded into the matrices that follow them; queries, keys
    and values are one product, gate and up another. The two halves of a head that RoPE rotates
    together are laid side by side, so that a rotation is one complex product.

    Args:
        config: Sizes.
        tensors: The checkpoint.
        dtype: float32 or float64.
        exact: Make each row's numbers independent of the rows beside it.
    """

    def __init__(
        self,
        config: LlamaConfig,
        tensors: Tensors,
        *,
        dtype: type[np.floating] = np.float32,
        exact: bool = True,
    ) -> None:
        self.config, self.dtype = config, np.dtype(dtype)
        layers = range(config.num_hidden_layers)
        folded = [_folded(config, tensors, f"model.layers.{i}.", self.dtype) for i in layers]
        embedding = tensors["model.embed_tokens.weight"]
        head = embedding if config.tie_word_embeddings else tensors["lm_head.weight"]
        last = _transposed(head, tensors["model.norm.weight"], self.dtype)
        self.tiling: Tiling = exact_tiling([*folded[0], last]) if exact else FAST
        self._embedding = embedding.astype(self.dtype)
        self._layers = [_Layer(*(Projection(w, self.tiling) for w in each)) for each in folded]
        self._head = Projection(last, self.tiling)
        self._turns = _turns(config, self.dtype)

    def hidden(
        self,
        tokens: NDArray[np.intp],
        positions: NDArray[np.intp],
        attention: Attention,
        buffers: Buffers,
    ) -> Array:
        """Run all layers.

        Args:
            tokens: [rows] ids.
            positions: [rows] places in their sequences, from 0.
            attention: Mixes the rows with what came before.
            buffers: To work in.

        Returns:
            [rows, hidden size], before the last norm; overwritten by the next call.
        """
        rows = len(tokens)
        work = buffers.of(self.config, self.tiling.padded(rows), self.dtype)
        np.take(self._embedding, tokens, axis=0, out=work.x[:rows])
        turns = self._turns[positions][:, None]
        for index, layer in enumerate(self._layers):
            self._normalize(work.x, work.normed)
            layer.attend_in(work.normed, work.qkv)
            self._attend(index, work, turns, attention)
            layer.attend_out(work.mixed.reshape(len(work.x), -1), work.added)
            work.x += work.added
            self._normalize(work.x, work.normed)
            layer.mlp_in(work.normed, work.gate_up)
            self._gate(work)
            layer.mlp_out(work.gated, work.added)
            work.x += work.added
        return work.x[:rows]

    def logits(self, hidden: Array, buffers: Buffers) -> Array:
        """Return the logits [rows, vocabulary] of hidden rows; overwritten by the next call."""
        rows = len(hidden)
        work = buffers.of(self.config, self.tiling.padded(rows), self.dtype)
        if work.x[:rows] is not hidden:
            work.x[:rows] = hidden
        self._normalize(work.x, work.normed)
        self._head(work.normed, work.logits)
        return work.logits[:rows]

    def _normalize(self, x: Array, out: Array) -> None:
        mean = np.einsum("ij,ij->i", x, x)
        mean /= x.shape[1]
        mean += self.config.rms_norm_eps
        np.sqrt(mean, out=mean)
        np.divide(x, mean[:, None], out=out)

    def _attend(self, index: int, work: _Scratch, turns: Complex, attention: Attention) -> None:
        config, rows = self.config, len(turns)
        heads, size = config.num_attention_heads, config.head_size
        split = work.qkv[:rows].reshape(rows, -1, size)
        both = heads + config.num_key_value_heads
        rotated = work.rotated[:rows]
        complex_type = self._turns.dtype
        np.multiply(split[:, :both].view(complex_type), turns, out=rotated.view(complex_type))
        attention(index, rotated[:, :heads], rotated[:, heads:], split[:, both:], work.mixed[:rows])

    @staticmethod
    def _gate(work: _Scratch) -> None:
        """Write silu(gate) * up; the matrices give both negated."""
        inner = work.gated.shape[1]
        gate, up = work.gate_up[:, :inner], work.gate_up[:, inner:]
        np.exp(gate, out=work.sigmoid)
        work.sigmoid += 1.0
        np.multiply(gate, up, out=work.gated)
        work.gated /= work.sigmoid


def _transposed(
    weight: Array, norm: Array | None, dtype: np.dtype[np.floating], scale: float = 1.0
) -> Array:
    """Return [inputs, outputs] of a file's [outputs, inputs], with the norm before it folded in."""
    turned: Array = weight.astype(dtype).T * dtype.type(scale)
    return turned if norm is None else turned * norm.astype(dtype)[:, None]


def _paired(weight: Array, size: int) -> Array:
    """Lay the halves of each head of [outputs, inputs] side by side: 0, size/2, 1, size/2 + 1..."""
    heads = weight.reshape(-1, 2, size // 2, weight.shape[1])
    return heads.swapaxes(1, 2).reshape(weight.shape)


def _folded(
    config: LlamaConfig, tensors: Tensors, prefix: str, dtype: np.dtype[np.floating]
) -> tuple[Array, Array, Array, Array]:
    """Return one layer's matrices, [inputs, outputs], in the order of `_Layer`."""

    def tensor(name: str) -> Array:
        return tensors[f"{prefix}{name}.weight"]

    first, second = tensor("input_layernorm"), tensor("post_attention_layernorm")
    size = config.head_size
    queries, keys = (_paired(tensor(f"self_attn.{n}_proj"), size) for n in "qk")
    qkv = np.concatenate(
        [
            _transposed(queries, first, dtype, size**-0.5),
            _transposed(keys, first, dtype),
            _transposed(tensor("self_attn.v_proj"), first, dtype),
        ],
        axis=1,
    )
    gate_up = np.concatenate([tensor("mlp.gate_proj"), tensor("mlp.up_proj")])
    return (
        qkv,
        _transposed(tensor("self_attn.o_proj"), None, dtype),
        # Negated, so that the exponential of the gate is the sigmoid's as it stands.
        _transposed(gate_up, second, dtype, -1.0),
        _transposed(tensor("mlp.down_proj"), None, dtype),
    )


def _turns(config: LlamaConfig, dtype: np.dtype[np.floating]) -> Complex:
    """Return RoPE's rotations as complex numbers, [positions, head size / 2]."""
    half = np.arange(0, config.head_size, 2) / config.head_size
    angles = np.arange(config.max_position_embeddings)[:, None] * config.rope_theta**-half
    turns: Complex = np.exp(1j * angles)
    return turns.astype(np.result_type(dtype, np.complex64))
