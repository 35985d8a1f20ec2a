"""The stored samples of an entry: where more of them flatten, and what rules are replayed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tts.errors import ConfigError
from tts.evals.records import Draw
from tts.evals.report.runs import Entry
from tts.saturation import fit_beta

__all__ = ["Pool", "is_pool", "pool", "saturation"]

_PAYS: Final = 0.01
"""The gain in pass@k, as a share of problems, below which another sample no longer pays."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The samples of an entry's problems, the same number of each.

    Attributes:
        draws: Those of a problem in a seed, each in a tuple of its own.
        examples: The problem of each; with several seeds one is there several times.
    """

    draws: tuple[tuple[Draw, ...], ...]
    examples: tuple[str, ...]

    @property
    def size(self) -> int:
        """Samples of a problem."""
        return len(self.draws[0])


def is_pool(entry: Entry) -> bool:
    """Return whether its samples are independent draws whose number no rule has decided."""
    return entry.is_pool and not entry.summary.stopped


def pool(entry: Entry, problems: int) -> Pool | None:
    """Return the samples of an entry's first problems; None where there are none to replay on.

    A problem is there in all its seeds. Those with fewer samples than most, or one that the
    checker could not judge, are left out.
    """
    rows = [result.row for result in entry.results if result.row.status != "failed"]
    lengths = Counter(len(row.draws) for row in rows)
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    kept = [
        row
        for row in rows
        if len(row.draws) >= usual and all(draw.right is not None for draw in row.draws)
    ]
    if not (is_pool(entry) and usual > 1 and kept):
        return None
    first = set(list(dict.fromkeys(row.example for row in kept))[:problems])
    rows = [row for row in kept if row.example in first]
    return Pool(tuple(row.draws[:usual] for row in rows), tuple(row.example for row in rows))


def saturation(curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a fit of pass@k, a Beta mixture of rates, two doublings beyond what was drawn.

    Args:
        curve: Points as in an entry's figures.

    Returns:
        `sizes`, `values` and `enough`, the samples from which another one brings at most a
        hundredth; empty where there are too few points.
    """
    sizes = np.array([point["k"] for point in curve], float)
    shares = np.clip([point["pass"] for point in curve], 0.0, 1.0)
    try:
        fitted = fit_beta(sizes, shares)
    except (ConfigError, ValueError):  # fewer than two sizes
        return {}
    beyond = [*(int(size) for size in sizes), int(sizes[-1]) * 2, int(sizes[-1]) * 4]
    values = [fitted.value(size) for size in beyond]
    return {"sizes": beyond, "values": values, "enough": fitted.enough(_PAYS)}
