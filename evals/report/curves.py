"""What the stored samples of an entry say about fewer of them, without a new call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tts.errors import ConfigError
from tts.evals.records import Draw
from tts.evals.report.measures import Estimate, estimate
from tts.evals.report.runs import Entry
from tts.resampling import PERMUTATIONS, coverage_curve, winners
from tts.saturation import fit_beta

__all__ = ["Curve", "Pool", "pool", "sample_curve"]

Floats = NDArray[np.float64]

_PROBLEMS: Final = 2000
"""Problems of an entry that a curve looks at; its mean hardly moves beyond."""
_PAYS: Final = 0.01
"""The gain in accuracy, as a share of problems, below which another sample no longer pays."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The samples of an entry's problems, the same number of each."""

    draws: tuple[tuple[Draw, ...], ...]
    left_out: int
    """Results with fewer samples than most, or one that the checker could not judge."""

    @property
    def size(self) -> int:
        """Samples of a problem."""
        return len(self.draws[0]) if self.draws else 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy by number of samples, as shares of problems with intervals."""

    sizes: tuple[int, ...]
    vote: tuple[Estimate, ...]
    """maj@k: the plain vote of k of the samples."""
    coverage: tuple[Estimate, ...]
    """pass@k: any of k is right; what a perfect choice among them would reach."""
    fitted: tuple[float, ...]
    """pass@k by a Beta mixture of rates."""
    enough: int | None
    """Samples from which another one brings pass@k at most a hundredth; None: no fit."""
    problems: int
    left_out: int


def pool(entry: Entry) -> Pool | None:
    """Return an entry's samples; None where they are not independent draws of a fixed number.

    That is so where a strategy does more than draw and vote, or a rule stopped some samples.
    """
    settings = entry.settings.get("strategy", {})
    use = settings.get("use", entry.strategy) if isinstance(settings, dict) else entry.strategy
    plain = entry.is_baseline or use in {"self_consistency", "best_of_n"}
    rows = [result.row for result in entry.results]
    if not plain or any(row.stopped_by is not None for row in rows):
        return None
    lengths = Counter(len(row.draws) for row in rows)
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    if usual < 2:
        return None
    kept = tuple(
        row.draws[:usual]
        for row in rows
        if len(row.draws) >= usual and all(draw.right is not None for draw in row.draws)
    )
    return Pool(kept[:_PROBLEMS], len(rows) - len(kept)) if kept else None


def sample_curve(drawn: Pool) -> Curve:
    """Return maj@k and pass@k for k = 1, 2, 4, ... up to all samples."""
    most = drawn.size
    sizes = [1 << power for power in range(most.bit_length()) if 1 << power < most] + [most]
    rng = np.random.default_rng(0)
    votes = np.array([_vote(draws, rng)[np.array(sizes) - 1] for draws in drawn.draws])
    shares = np.array(
        [coverage_curve([bool(each.right) for each in draws], sizes) for draws in drawn.draws]
    )
    fitted, enough = _fit(sizes, shares.mean(0))
    return Curve(
        sizes=tuple(sizes),
        vote=_estimates(votes),
        coverage=_estimates(shares),
        fitted=fitted,
        enough=enough,
        problems=len(drawn.draws),
        left_out=drawn.left_out,
    )


def _estimates(columns: Floats) -> tuple[Estimate, ...]:
    found = [estimate(column) for column in columns.T]
    return tuple(each for each in found if each is not None)


def _vote(draws: Sequence[Draw], rng: np.random.Generator) -> Floats:
    """Return how often the vote of 1..n samples is right, over random orders."""
    known = sorted({draw.key for draw in draws if draw.key is not None})
    code = {key: at for at, key in enumerate(known)}
    codes = np.array([-1 if draw.key is None else code[draw.key] for draw in draws])
    right = np.zeros(len(known) + 1, bool)  # the last is the abstention's, code -1
    for draw in draws:
        if draw.key is not None:
            right[code[draw.key]] |= bool(draw.right)
    orders = rng.permuted(np.tile(np.arange(len(codes)), (PERMUTATIONS, 1)), axis=1)
    return np.asarray(right[winners(codes[orders])].mean(0))


def _fit(sizes: Sequence[int], measured: Floats) -> tuple[tuple[float, ...], int | None]:
    try:
        curve = fit_beta(np.array(sizes, float), np.clip(measured, 0.0, 1.0))
    except ConfigError:  # a single size
        return (), None
    beyond = [*sizes, *(sizes[-1] << power for power in (1, 2))]
    return tuple(curve.value(size) for size in beyond), curve.enough(_PAYS)


def as_json(curve: Curve) -> dict[str, Any]:
    """Return a curve as JSON."""
    return {
        "sizes": list(curve.sizes),
        "vote": [list(each) for each in curve.vote],
        "coverage": [list(each) for each in curve.coverage],
        "fitted": list(curve.fitted),
        "enough": curve.enough,
        "problems": curve.problems,
        "left_out": curve.left_out,
    }
