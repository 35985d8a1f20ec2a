"""Matrix products whose rows do not depend on their neighbours, on one BLAS thread.

A BLAS picks its kernel by the shape of the product, and a kernel may treat the first and last rows
or columns of a block in another order of summation. So a row's product would change, in its last
bits, with the number of rows beside it and with its place among them; sampling turns such a bit
into another text. A `Tiling` says how products are cut so that this cannot happen. Which tiling is
exact depends on the machine's BLAS, so `exact_tiling` tries them, fastest first, on the weights.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAST", "Array", "Projection", "Tiling", "exact_tiling", "one_thread"]

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a product [rows, inputs] x [inputs, outputs] is cut.

    Attributes:
        rows: The rows are a multiple of this.
        block: Most rows in one product; a multiple of `rows`.
        edge: Columns of zeros on both sides of a panel, where kernels behave differently.
        width: Most columns of a panel, with its edges; None for all outputs in one.
    """

    rows: int
    block: int
    edge: int = 0
    width: int | None = None

    def padded(self, rows: int) -> int:
        """Return the least allowed number of rows that is not smaller."""
        return -(-rows // self.rows) * self.rows


FAST = Tiling(rows=1, block=4096)
"""Whole products: fastest, not exact."""

_EXACT = (
    Tiling(rows=16, block=96),
    # OpenBLAS's AVX2 kernel for float32 takes 12 rows at a time, treats the outer 8 columns of a
    # panel of at most 320 differently, and sums a remainder of rows in another order.
    Tiling(rows=12, block=96, edge=8, width=304),
    Tiling(rows=8, block=8),
    Tiling(rows=4, block=4),
    # One row a product is exact on any machine.
    Tiling(rows=1, block=1),
)


class Projection:
    """A matrix [inputs, outputs], cut into panels.

    Args:
        weight: The matrix.
        tiling: How products with it are cut.
    """

    def __init__(self, weight: Array, tiling: Tiling) -> None:
        self.inputs, self.outputs = weight.shape
        self._tiling = tiling
        self._panels = list(self._cut(weight))

    def _cut(self, weight: Array) -> Iterator[tuple[slice, Array]]:
        edge, width = self._tiling.edge, self._tiling.width
        if width is None:
            yield slice(0, self.outputs), np.ascontiguousarray(weight)
            return
        panels = -(-self.outputs // (width - 2 * edge))
        step = -(-self.outputs // panels // 8) * 8
        for start in range(0, self.outputs, step):
            part = weight[:, start : start + step]
            yield slice(start, start + part.shape[1]), np.pad(part, ((0, 0), (edge, edge)))

    def __call__(self, x: Array, out: Array) -> None:
        """Write the product.

        Args:
            x: [rows, inputs], contiguous, rows a multiple of the tiling's.
            out: [rows, outputs], contiguous.
        """
        block, edge = self._tiling.block, self._tiling.edge
        for start in range(0, len(x), block):
            rows = slice(start, min(start + block, len(x)))
            if not edge:
                np.matmul(x[rows], self._panels[0][1], out=out[rows])
                continue
            for columns, panel in self._panels:
                out[rows, columns] = np.matmul(x[rows], panel)[:, edge:-edge]


def _is_exact(weight: Array, tiling: Tiling) -> bool:
    """Tell whether a row's product is the same at every place of every allowed block."""
    project = Projection(weight, tiling)
    row = np.random.default_rng(0).standard_normal((1, len(weight))).astype(weight.dtype)
    expected: Array | None = None
    for rows in range(tiling.rows, tiling.block + 1, tiling.rows):
        out = np.empty((rows, project.outputs), weight.dtype)
        project(np.repeat(row, rows, axis=0), out)
        expected = out[:1] if expected is None else expected
        if not np.array_equal(out, np.broadcast_to(expected, out.shape)):
            return False
    return True


def exact_tiling(weights: Sequence[Array]) -> Tiling:
    """Return the fastest tiling in which no row depends on others, found by trial.

    Args:
        weights: One matrix of each shape that will be multiplied.
    """
    with one_thread():
        for tiling in _EXACT[:-1]:
            if all(_is_exact(weight, tiling) for weight in weights):
                return tiling
    return _EXACT[-1]


@cache
def _thread_calls() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return the functions that read and set OpenBLAS's threads, or None if there are none."""
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            continue
        try:
            # Symbols of the BLAS that this module is linked to are found through it.
            library = ctypes.CDLL(file)
        except OSError:
            continue
        for name in ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
            try:
                return (
                    getattr(library, name.format("get_num_threads")),
                    getattr(library, name.format("set_num_threads")),
                )
            except AttributeError:
                continue
    return None


_lock = Lock()
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenBLAS use one thread, as small products are slower on more; then as before.

    The setting is the process's, so products of other threads meanwhile use one thread too. With
    another BLAS this does nothing.
    """
    global _inside, _before
    calls = _thread_calls()
    if calls is None:
        yield
        return
    read, write = calls
    with _lock:
        if not _inside:
            _before = read()
            write(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                write(_before)
