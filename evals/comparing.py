"""What the stored samples of problems say of votes, and a strategy beside them at equal cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np

from tts.evals.equal import Compared, Curves, Floats, Pool, compare, curves
from tts.evals.figures import Comparison, Point
from tts.evals.records import Cell, Row
from tts.evals.statistics import Interval, bootstrap, detectable, sign_flip
from tts.resampling import pass_at_k

__all__ = ["Pools", "Solved", "comparison"]

Solved: TypeAlias = tuple[int, Row]
"""A row, and the seed it was made with."""
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Pools:
    """The stored samples of the problems that have them all, and what votes of them say."""

    places: dict[tuple[int, str], int]
    """Seed and problem to a row of the curves."""
    curves: Curves | None
    right: tuple[int, ...] = ()
    """Right samples of each."""
    unjudged: frozenset[int] = frozenset()
    """Rows of the curves with samples that could not be judged."""
    lost: int = 0
    """Problems whose pool lost samples, or failed."""

    @classmethod
    def of(cls, cell: Cell, every: Sequence[Solved]) -> Self:
        """Read the pools of one strategy: its first cell, and the rows of all its seeds."""
        rows = [(seed, row) for seed, row in every if row.status != "failed"]
        sizes = {len(row.draws) for _, row in rows}
        size = max(sizes, default=0)
        ruled = any(row.stopped_by for _, row in rows)
        if not cell.is_pool or ((ruled or len(sizes) > 1) and not cell.is_baseline):
            return cls({}, None)  # they, or how many there are, depend on what others say
        whole = [(seed, row) for seed, row in rows if len(row.draws) == size]
        lost = len(every) - len(whole)
        if size < 2:
            return cls({}, None, lost=lost)
        pools = [
            Pool(
                tuple(draw.key for draw in row.draws),
                _keys(row, True),
                tuple(draw.completion_tokens for draw in row.draws),
                row.costs.cost_usd,
                tuple(draw.prompt_tokens for draw in row.draws),
                row.price,
                _beside(row) if cell.is_vote else (0, 0),
                _keys(row, None),
            )
            for _, row in whole
        ]
        places = {(seed, row.example): at for at, (seed, row) in enumerate(whole)}
        unjudged = frozenset(at for at, pool in enumerate(pools) if pool.unjudged)
        hits = tuple(sum(bool(draw.right) for draw in row.draws) for _, row in whole)
        return cls(places, curves(pools), hits, unjudged, lost)

    def points(self) -> tuple[Point, ...]:
        """Return the curve, at powers of two."""
        if self.curves is None:
            return ()
        n, problems = self.curves.accuracy.shape[1], [problem for _, problem in self.places]
        found = []
        for k in dict.fromkeys([*(size for size in _SIZES if size < n), n]):
            usd = float(self.curves.usd[:, k - 1].mean())
            found.append(
                Point(
                    k,
                    self._accuracy(k, problems),
                    sum(pass_at_k(right, n, k) for right in self.right) / len(self.right),
                    float(self.curves.total[:, k - 1].mean()),
                    float(self.curves.critical[:, k - 1].mean()),
                    None if np.isnan(usd) else usd,
                )
            )
        return tuple(found)

    def _accuracy(self, k: int, problems: Sequence[str]) -> Interval:
        assert self.curves is not None
        ends = (self.curves.accuracy, self.curves.accuracy_at_best)
        low, high = (bootstrap(end[:, k - 1], problems, beside=(0.0, 1.0)) for end in ends)
        return low.hull(high)


def _beside(row: Row) -> tuple[int, int]:
    """Return the tokens that were paid beside the samples: failed attempts, and lost tries."""
    prompts = sum(draw.prompt_tokens for draw in row.draws)
    completions = sum(draw.completion_tokens for draw in row.draws)
    costs = row.costs
    return max(0, costs.prompt_tokens - prompts), max(0, costs.completion_tokens - completions)


def _keys(row: Row, verdict: bool | None) -> set[str]:
    """Return the answers that have a verdict, in the words in which a vote for them is returned.

    A vote that wins is told by its first draw, and a checker may tell spellings apart.
    """
    first: dict[str, bool | None] = {}
    for draw in row.draws:
        if draw.key is not None:
            first.setdefault(draw.key, draw.right)
    return {key for key, found in first.items() if found is verdict}


def comparison(kind: str, rows: Sequence[Solved], pools: Pools) -> Comparison | str | None:
    """Compare on the pairs in which both sides are known; None where there are none yet.

    A text says why there is no such cost to compare at.
    """
    pairs = [
        (row, pools.places[seed, row.example], f"{seed} {row.example}")
        for seed, row in rows
        if row.status != "failed" and (seed, row.example) in pools.places
    ]
    if not pairs or pools.curves is None:
        return _why_none(rows, pools)
    spent = np.array([_cost(row, kind) for row, *_ in pairs], dtype=float)  # None: not a number
    baseline = pools.curves.of([place for _, place, _ in pairs])
    costs = baseline.cost(kind)
    if np.isnan(spent).any() or np.isnan(costs).any():
        return "a price is unknown"
    if not costs.any():
        return "the baseline costs nothing"
    ends = _ends(pairs, spent, baseline, costs)
    (worst, _), (best, _) = ends
    sums = max((each for _, each in ends), key=sign_flip)
    found, p = worst.hull(best), _agreed([sum(each) for _, each in ends], sign_flip(sums))
    better, worse = sum(each > 0 for each in sums), sum(each < 0 for each in sums)
    seeds = Counter(row.example for row, *_ in pairs).values()
    by_problem = tuple(each / often for each, often in zip(sums, seeds, strict=True))
    return Comparison(
        kind=kind,
        pairs=len(pairs),
        problems=len(sums),
        left_out=len(rows) - len(pairs),
        unjudged=sum(row.right is None or place in pools.unjudged for row, place, _ in pairs),
        samples=found.match.samples,
        note=found.match.note,
        baseline=found.baseline,
        gain=found.gain,
        better=better,
        worse=worse,
        difference=sum(sums) / len(pairs),
        p=p,
        p_holm=p,
        detectable=detectable(by_problem),
        by_problem=by_problem,
        off=found.match.off,
    )


def _ends(
    pairs: Sequence[tuple[Row, int, str]], spent: Floats, baseline: Curves, costs: Floats
) -> list[tuple[Compared, list[int]]]:
    """Compare if unknown verdicts are what is worst, and what is best; with each problem's sum.

    That is over its seeds, of the strategy's right answers less the votes'. Worst for the strategy
    is that its own unjudged answers are wrong and the votes' are right.
    """
    problems, keys = [row.example for row, *_ in pairs], [key for _, _, key in pairs]
    found = []
    for unknown, accuracy, votes in (
        (0.0, baseline.accuracy_at_best, baseline.votes_at_best),
        (1.0, baseline.accuracy, baseline.votes),
    ):
        right = np.array([unknown if row.right is None else float(row.right) for row, *_ in pairs])
        one = compare(right, spent, accuracy, costs, problems)
        found.append((one, _sums(right - one.match.dealt(votes, keys), problems)))
    return found


def _agreed(leads: Sequence[int], p: float) -> float:
    """Return the p-value; 1 where one end says better and the other worse: nothing is known."""
    return 1.0 if min(leads) < 0 < max(leads) else p


def _why_none(rows: Sequence[Solved], pools: Pools) -> str | None:
    """Say why no pair is known; None if there only is none yet."""
    if rows and all(row.status == "failed" for _, row in rows):
        return "all runs of the strategy failed"
    if pools.lost and not pools.places:
        return f"no pool of samples is whole: {pools.lost} failed or lost calls"
    return None


def _cost(row: Row, kind: str) -> float | None:
    costs = row.costs
    kinds = {"total": costs.total_tokens, "critical": costs.critical_tokens, "usd": costs.cost_usd}
    return kinds[kind]


def _sums(values: Floats, problems: Sequence[str]) -> list[int]:
    """Return the sum of each problem's values, which are whole numbers."""
    found = defaultdict[str, int](int)
    for value, problem in zip(values, problems, strict=True):
        found[problem] += round(value)
    return list(found.values())
