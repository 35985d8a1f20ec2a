"""The KV cache: keys and values in chunks of a fixed number of tokens.

A prompt's chunks are computed once and read by all rows that continue it; every row has chunks of
its own for what it wrote. All chunks live in one pool, so that attention over all of them is one
batched product in place, whatever the lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.blas import Array
from tts.backends.reference.weights import LlamaConfig

__all__ = ["CHUNK", "ChunkPool", "Extent", "chunks"]

CHUNK: Final = 32
"""Tokens of one chunk."""


def chunks(tokens: int) -> int:
    """Return how many chunks hold so many tokens."""
    return -(-tokens // CHUNK)


@dataclass(eq=False, slots=True)
class Extent:
    """Chunks that lie side by side in the pool.

    Attributes:
        start: Index of the first; changes when the pool is compacted.
        count: How many.
    """

    start: int
    count: int

    @property
    def span(self) -> slice:
        """Its place along the pool's first axis."""
        return slice(self.start, self.start + self.count)


class ChunkPool:
    """Chunks of keys and values for every layer.

    Attributes:
        keys: For each layer [chunks, key-value heads, head size, CHUNK].
        values: For each layer [chunks, key-value heads, CHUNK, head size].
        bias: [chunks, CHUNK]; 0 where a token is held and -inf elsewhere.
        used: Chunks in use.
        top: One more than the highest index in use.
    """

    def __init__(self, config: LlamaConfig, dtype: np.dtype[np.floating]) -> None:
        heads, size = config.num_key_value_heads, config.head_size
        layers = range(config.num_hidden_layers)
        # Zeros, as a place never written must not turn a weight of 0 into not-a-number.
        self.keys: list[Array] = [np.zeros((0, heads, size, CHUNK), dtype) for _ in layers]
        self.values: list[Array] = [np.zeros((0, heads, CHUNK, size), dtype) for _ in layers]
        self.bias: Array = np.zeros((0, CHUNK), dtype)
        self._taken: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._extents: dict[Extent, None] = {}
        self.used = 0
        self.top = 0

    def take(self, count: int, tokens: int = 0) -> Extent:
        """Return chunks for new tokens, in the lowest gap that is long enough.

        Args:
            count: How many, at least 1.
            tokens: How many places, from the first, will be filled before they are read.
        """
        top = self.top
        free = np.append(np.flatnonzero(~self._taken[:top]), np.arange(top, top + count))
        runs = free[count - 1 :] - free[: len(free) - count + 1] == count - 1
        extent = Extent(int(free[np.argmax(runs)]), count)
        self._reserve(extent.span.stop)
        self._taken[extent.span] = True
        self._extents[extent] = None
        self.used += count
        self.top = max(top, extent.start + count)
        self.bias[extent.span] = np.where(np.arange(count * CHUNK) < tokens, 0.0, -np.inf).reshape(
            count, CHUNK
        )
        return extent

    def release(self, extent: Extent) -> None:
        """Give chunks back."""
        del self._extents[extent]
        self._taken[extent.span] = False
        self.bias[extent.span] = -np.inf
        self.used -= extent.count
        while self.top and not self._taken[self.top - 1]:
            self.top -= 1

    def compact(self) -> bool:
        """Close the gaps if they are most of the pool; tell whether anything moved."""
        used, top = self.used, self.top
        if top <= 2 * used + 8:
            return False
        order = sorted(self._extents, key=lambda extent: extent.start)
        source = np.concatenate([np.arange(e.start, e.span.stop) for e in order] or [np.arange(0)])
        for array in (*self.keys, *self.values, self.bias):
            array[:used] = array[source]
        self.bias[used:] = -np.inf
        self._taken[:] = np.arange(len(self._taken)) < used
        start = 0
        for extent in order:
            extent.start = start
            start += extent.count
        self.top = used
        return True

    def _reserve(self, count: int) -> None:
        held = len(self._taken)
        if count <= held:
            return
        size = max(count, 2 * held, 16)

        def grown(array: Array) -> Array:
            larger = np.zeros((size, *array.shape[1:]), array.dtype)
            larger[:held] = array
            return larger

        self.keys = [grown(array) for array in self.keys]
        self.values = [grown(array) for array in self.values]
        self.bias = grown(self.bias)
        self.bias[held:] = -np.inf
        self._taken = np.append(self._taken, np.zeros(size - held, np.bool_))
