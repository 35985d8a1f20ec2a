"""What an entry reached and cost, with intervals over problems; and what lies on the front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tts.evals.records import Row
from tts.evals.report.runs import Entry
from tts.resampling import interval

__all__ = ["COSTS", "Difference", "Estimate", "Measured", "baseline_of", "compare", "estimate",
           "front", "measure"]  # fmt: skip

Floats = NDArray[np.float64]

RESAMPLES: Final = 1000
_AT_ONCE: Final = 4_000_000
"""Numbers that a resampling holds in memory at a time."""

COSTS: Final[Mapping[str, Callable[[Row], float | None]]] = {
    "total": lambda row: row.usage.total_tokens,
    "critical": lambda row: row.usage.critical_tokens,
    "seconds": lambda row: row.usage.wall_seconds,
    "usd": lambda row: row.usage.cost_usd,
}
"""The costs of a solved problem; None where it is not known."""


class Estimate(NamedTuple):
    """A mean over problems with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry's accuracy less the baseline's on the problems that both have."""

    gain: Estimate
    problems: int
    better: int
    """Problems that only the entry solved; with several seeds, solved more often."""
    worse: int
    p: float
    """Of McNemar's exact test: how likely so uneven a split is if neither is better."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An entry in numbers. Means are over problems, seeds of a problem averaged first."""

    problems: int
    results: int
    accuracy: Estimate | None
    """Failed runs and missing answers count as wrong, failed checkers not at all; None: nothing
    was judged."""
    costs: dict[str, Estimate | None]
    """Total and critical tokens, seconds, US dollars; None: not known."""
    means: dict[str, float]
    """Calls, cancelled calls, samples, parse failures and failed calls a problem."""
    counts: dict[str, int]
    """Results by status, and `check_failed`."""
    stopped: int
    """Results that a stopping rule ended early."""


def grouped(entry: Entry, value: Callable[[Row], float | None]) -> dict[str, float]:
    """Return a value of each problem, averaged over seeds; results without one are left out."""
    found: dict[str, list[float]] = {}
    for result in entry.results:
        number = value(result.row)
        if number is not None:
            found.setdefault(result.row.example, []).append(float(number))
    return {example: sum(each) / len(each) for example, each in found.items()}


def correctness(row: Row) -> float | None:
    """Return 1 or 0; None where the checker failed."""
    if row.right is None and row.status == "failed":
        return 0.0
    return None if row.right is None else float(row.right)


def estimate(values: Sequence[float] | Floats, seed: int = 0) -> Estimate | None:
    """Return the mean with its interval; None of nothing. Same values, same interval."""
    kept = np.asarray(values, dtype=np.float64)
    if not len(kept):
        return None
    rng, means = np.random.default_rng(seed), []
    batch = max(1, _AT_ONCE // len(kept))
    for begin in range(0, RESAMPLES, batch):
        size = (min(batch, RESAMPLES - begin), len(kept))
        means.append(kept[rng.integers(len(kept), size=size)].mean(1))
    return Estimate(float(kept.mean()), *interval(np.concatenate(means).tolist()))


def measure(entry: Entry) -> Measured:
    """Return an entry in numbers."""
    rows = [result.row for result in entry.results]
    accuracy = grouped(entry, correctness)
    means: dict[str, Callable[[Row], float | None]] = {
        "calls": lambda row: row.usage.calls,
        "cancelled_calls": lambda row: row.usage.cancelled_calls,
        "samples": lambda row: len(row.draws),
        "parse_failures": lambda row: row.parse_failures,
        "failed_calls": lambda row: row.failed_calls,
    }
    counts = dict.fromkeys(("ok", "budget_exhausted", "no_answer", "failed"), 0)
    for row in rows:
        counts[row.status] += 1
    counts["check_failed"] = sum(row.check_failure is not None for row in rows)
    return Measured(
        problems=len({row.example for row in rows}),
        results=len(rows),
        accuracy=estimate(list(accuracy.values())),
        costs={name: _cost(entry, value) for name, value in COSTS.items()},
        means={name: _mean(grouped(entry, value)) for name, value in means.items()},
        counts=counts,
        stopped=sum(row.stopped_by is not None for row in rows),
    )


def _cost(entry: Entry, value: Callable[[Row], float | None]) -> Estimate | None:
    """A cost that one result does not know is not known: a mean of the others would be too low."""
    if any(value(result.row) is None for result in entry.results):
        return None
    return estimate(list(grouped(entry, value).values()))


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values) if values else 0.0


def baseline_of(entry: Entry, entries: Sequence[Entry]) -> Entry | None:
    """Return the baseline an entry is compared with: of its task and model, best of its budget."""
    found = [each for each in entries if each.is_baseline and each.facet == entry.facet]
    found.sort(key=lambda each: (each.budget != entry.budget, each.run != entry.run))
    return found[0] if found and not entry.is_baseline else None


def compare(entry: Entry, baseline: Entry) -> Difference | None:
    """Compare two entries problem by problem; None if they share none."""
    own, other = grouped(entry, correctness), grouped(baseline, correctness)
    gains = np.array([own[each] - other[each] for each in own if each in other])
    gain = estimate(gains)
    if gain is None:
        return None
    better, worse = int((gains > 0).sum()), int((gains < 0).sum())
    return Difference(gain, len(gains), better, worse, _exact(better, worse))


def _exact(better: int, worse: int) -> float:
    """Two-sided binomial test of an even split."""
    from math import comb

    n = better + worse
    tail = sum(comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / 2**n)


def front(points: Sequence[tuple[float, float] | None]) -> set[int]:
    """Return the numbers of the points that no other beats: (cost, accuracy) of each.

    A point is beaten by one that costs no more and is no less accurate, and differs.

    >>> sorted(front([(1.0, .5), (2.0, .5), (3.0, .7), None]))
    [0, 2]
    """
    known = [(number, point) for number, point in enumerate(points) if point is not None]
    best, kept = -1.0, set[int]()
    last: tuple[float, float] | None = None
    for number, point in sorted(known, key=lambda each: (each[1][0], -each[1][1])):
        if point[1] > best or point == last:
            kept.add(number)
            best, last = point[1], point
    return kept


def told(estimate_: Estimate | None) -> list[float] | None:
    """Return an estimate as JSON."""
    return None if estimate_ is None else list(estimate_)


def as_json(measured: Measured) -> dict[str, Any]:
    """Return an entry's numbers as JSON."""
    return {
        "n": measured.problems,
        "results": measured.results,
        "accuracy": told(measured.accuracy),
        "costs": {name: told(each) for name, each in measured.costs.items()},
        "means": measured.means,
        "counts": measured.counts,
        "stopped": measured.stopped,
    }
