"""Attention of whole prompts and of single new tokens over the chunks of the cache.

Every product here has a shape that the prompt's own length or the chunk size fixes, and sums run
over a row's own chunks in their order, so a row's result has the same bits in any company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.blas import Array
from tts.backends.reference.cache import CHUNK, ChunkPool, Extent, chunks
from tts.backends.reference.weights import LlamaConfig

__all__ = ["Attention", "CachedAttention", "PairBuffers", "PromptAttention", "Reader"]

_LEAST, _MOST = 1e-30, 1e30
"""Between these a sum of exponentials has lost nothing that float32 could tell."""


class Attention(Protocol):
    """Mixes values of other tokens into each token, and keeps what later tokens need."""

    def __call__(self, layer: int, queries: Array, keys: Array, values: Array, out: Array) -> None:
        """Attend in one layer.

        Args:
            layer: Its index.
            queries: [rows, heads, head size], rotated and scaled.
            keys: [rows, key-value heads, head size], rotated.
            values: [rows, key-value heads, head size].
            out: [rows, heads, head size], written.
        """
        ...


class PromptAttention:
    """Causal attention within each of several sequences that lie one after another.

    Args:
        config: Sizes of the network.
        lengths: Tokens of each sequence.
        pool: Where to keep keys and values, with `extents`.
        extents: For each sequence its chunks, or None to keep nothing.
    """

    def __init__(
        self,
        config: LlamaConfig,
        lengths: Sequence[int],
        pool: ChunkPool,
        extents: Sequence[Extent | None],
    ) -> None:
        self._config, self._pool = config, pool
        self._lengths, self._extents = lengths, extents

    def __call__(self, layer: int, queries: Array, keys: Array, values: Array, out: Array) -> None:
        """Attend in one layer; see `Attention`."""
        start = 0
        for length, extent in zip(self._lengths, self._extents, strict=True):
            span = slice(start, start + length)
            out[span] = self._attend(layer, queries[span], keys[span], values[span], extent)
            start += length

    def _attend(
        self, layer: int, queries: Array, keys: Array, values: Array, extent: Extent | None
    ) -> Array:
        heads, group, size = (
            self._config.num_key_value_heads,
            self._config.group,
            self._config.head_size,
        )
        length, count = len(queries), chunks(len(queries))
        padding = ((0, count * CHUNK - length), (0, 0), (0, 0))
        query = np.pad(queries, padding).reshape(-1, heads, group, size).transpose(1, 2, 0, 3)
        key = np.ascontiguousarray(np.pad(keys, padding).transpose(1, 2, 0))
        value = np.ascontiguousarray(np.pad(values, padding).transpose(1, 0, 2))
        scores = np.ascontiguousarray(query) @ key[:, None]
        scores[..., np.triu(np.ones((count * CHUNK, count * CHUNK), np.bool_), 1)] = -np.inf
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        if extent is not None:
            pool, span = self._pool, extent.span
            pool.keys[layer][span] = key.reshape(heads, size, count, CHUNK).transpose(2, 0, 1, 3)
            pool.values[layer][span] = value.reshape(heads, count, CHUNK, size).swapaxes(0, 1)
        mixed = (scores @ value[:, None]).transpose(2, 0, 1, 3)
        return mixed[:length].reshape(length, heads * group, size)


@dataclass(frozen=True, slots=True)
class Reader:
    """What one row of the batch reads.

    Attributes:
        prompt: Chunks that it shares with other rows.
        own: Its own chunks, oldest first.
        written: Tokens in its own chunks, with the one that is being decoded.
    """

    prompt: Extent
    own: Sequence[Extent]
    written: int


class PairBuffers:
    """Arrays for one entry per pair of row and chunk, kept between steps.

    Args:
        config: Sizes of the network.
        dtype: Of all numbers.
    """

    def __init__(self, config: LlamaConfig, dtype: np.dtype[np.floating]) -> None:
        self._heads = (config.num_key_value_heads, config.group)
        self._size, self._dtype = config.head_size, dtype
        self._grow(64)

    def _grow(self, pairs: int) -> None:
        def array(*shape: int) -> Array:
            return np.zeros((pairs, *shape), self._dtype)

        self.queries, self.mixed = (array(*self._heads, self._size) for _ in range(2))
        self.scores, self.bias = array(*self._heads, CHUNK), array(1, 1, CHUNK)
        self.masses = array(*self._heads)

    def fit(self, pairs: int) -> None:
        """Make room for so many pairs and one after them that is empty."""
        if len(self.scores) <= pairs:
            self._grow(2 * pairs)
        self.masses[pairs], self.mixed[pairs] = 0.0, 0.0


class CachedAttention:
    """Attention of one new token per row over the row's chunks.

    The chunks are read in place: each meets the query of one of its readers in one batched
    product. Chunks of a prompt with more readers meet the others in a product for that prompt. The
    partial results, one per *pair* of row and chunk, are then gathered by row.

    The greatest score is not subtracted before exponentials are taken, as finding it costs more
    than they do. The rows whose sums come near the ends of float32 are done again with it.

    Args:
        pool: The cache.
        buffers: To work in; shared with the attention objects before and after this one.
        readers: The rows, in batch order.
    """

    def __init__(self, pool: ChunkPool, buffers: PairBuffers, readers: Sequence[Reader]) -> None:
        self._pool, self._buffers = pool, buffers
        self._top = self._pairs = pool.top
        self._shared: list[tuple[NDArray[np.intp], slice, slice]] = []
        own = [[extent.start for extent in reader.own] for reader in readers]
        prompts = _by_prompt(readers)
        self._chunk_of, self._row_of = np.arange(self._top), np.zeros(self._top, np.intp)
        for row, places in enumerate(own):
            self._row_of[places] = row
        for prompt, rows in prompts.items():
            self._row_of[prompt.span] = rows[0]
        tables: list[list[int]] = [[] for _ in readers]
        for prompt, rows in prompts.items():
            tables[rows[0]].extend(range(prompt.start, prompt.start + prompt.count))
            if len(rows) > 1:
                self._share(prompt, rows[1:], tables)
        for table, places in zip(tables, own, strict=True):
            table.extend(places)
        self._last = np.array([places[-1] for places in own])
        self._offset = np.array([reader.written - 1 for reader in readers]) % CHUNK
        longest = max(map(len, tables))
        # Rows with fewer chunks read the empty pair at the end.
        padded = [table + [self._pairs] * (longest - len(table)) for table in tables]
        self._table = np.array(padded)
        buffers.fit(self._pairs)

    def _share(self, prompt: Extent, rows: list[int], tables: list[list[int]]) -> None:
        """Add the pairs of a prompt's chunks with rows beside the first."""
        start, count = self._pairs, prompt.count
        self._pairs += len(rows) * count
        for index, row in enumerate(rows):
            tables[row].extend(range(start + index * count, start + (index + 1) * count))
        others = np.array(rows)
        self._shared.append((others, prompt.span, slice(start, self._pairs)))
        chunks_read = np.tile(np.arange(prompt.start, prompt.start + count), len(rows))
        self._chunk_of = np.append(self._chunk_of, chunks_read)
        self._row_of = np.append(self._row_of, np.repeat(others, count))

    def advance(self) -> None:
        """Make room for the token that is now being decoded."""
        self._pool.bias[self._last, self._offset] = 0.0
        bias = self._pool.bias[:, None, None]
        bias.take(self._chunk_of, axis=0, out=self._buffers.bias[: self._pairs], mode="clip")

    def next(self) -> None:
        """Go on to the next token in the same chunks."""
        self._offset += 1

    def __call__(self, layer: int, queries: Array, keys: Array, values: Array, out: Array) -> None:
        """Attend in one layer; see `Attention`."""
        pool, buffers = self._pool, self._buffers
        key, value = pool.keys[layer], pool.values[layer]
        key[self._last, :, :, self._offset] = keys
        value[self._last, :, self._offset] = values
        query = queries.reshape(-1, *buffers.queries.shape[1:])
        self._score(key, query)
        total, mass = self._mix(value)
        unsafe = np.flatnonzero(~((mass > _LEAST) & (mass < _MOST)).all((1, 2)))
        if len(unsafe):
            self._score(key, query)
            self._shift()
            careful, careful_mass = self._mix(value)
            total[unsafe], mass[unsafe] = careful[unsafe], careful_mass[unsafe]
        np.divide(total, mass[..., None], out=out.reshape(total.shape))

    def _score(self, key: Array, query: Array) -> None:
        """Write each pair's scores, -inf at places without a token."""
        buffers, top = self._buffers, self._top
        scores, met = buffers.scores[: self._pairs], buffers.queries[:top]
        query.take(self._row_of[:top], axis=0, out=met, mode="clip")
        np.matmul(met, key[:top], out=scores[:top])
        for rows, span, pairs in self._shared:
            target = scores[pairs].reshape(len(rows), -1, *scores.shape[1:])
            np.matmul(query[rows][:, None], key[span], out=target)
        scores += buffers.bias[: self._pairs]

    def _shift(self) -> None:
        """Subtract from the scores each row's greatest."""
        scores = self._buffers.scores[: self._pairs]
        peaks = np.append(scores.max(-1), np.full((1, *scores.shape[1:3]), -np.inf), axis=0)
        scores -= peaks[self._table].max(1)[self._row_of][..., None]

    def _mix(self, value: Array) -> tuple[Array, Array]:
        """Return each row's values, weighted by the exponentials of its scores, and their sum."""
        buffers, top = self._buffers, self._top
        scores, mixed = buffers.scores[: self._pairs], buffers.mixed[: self._pairs]
        np.exp(scores, out=scores)
        np.einsum("pkgc->pkg", scores, out=buffers.masses[: self._pairs])
        np.matmul(scores[:top], value[:top], out=mixed[:top])
        for rows, span, pairs in self._shared:
            weights = scores[pairs].reshape(len(rows), -1, *scores.shape[1:])
            target = mixed[pairs].reshape(len(rows), -1, *mixed.shape[1:])
            np.matmul(weights, value[span], out=target)
        first, *others = self._table.T
        total, mass = buffers.mixed.take(first, axis=0), buffers.masses.take(first, axis=0)
        for column in others:
            total += buffers.mixed.take(column, axis=0)
            mass += buffers.masses.take(column, axis=0)
        return total, mass


def _by_prompt(readers: Sequence[Reader]) -> dict[Extent, list[int]]:
    found: dict[Extent, list[int]] = {}
    for row, reader in enumerate(readers):
        found.setdefault(reader.prompt, []).append(row)
    return found
