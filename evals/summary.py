"""What the rows of a run store say: accuracies, costs, and comparisons at equal cost.

Seeds are repeats: a summary is of a task, models, a strategy and a budget, over all seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from tts.evals.equal import Curves, Pool, compare, curves
from tts.evals.figures import Comparison, Point, Repeated, Summary
from tts.evals.records import Cell, Row
from tts.evals.statistics import (
    Interval,
    bootstrap,
    detectable,
    holm,
    mcnemar,
    wilson,
)
from tts.evals.store import RunStore
from tts.evals.tries import Spent
from tts.resampling import pass_at_k

__all__ = ["Comparison", "Point", "Summary", "summarise"]

Solved: TypeAlias = tuple[int, Row]
"""A row, and the seed it was made with."""
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


_MEANS = ("calls", "prompt_tokens", "completion_tokens", "total_tokens", "critical_tokens",
          "critical_completion_tokens", "critical_seconds", "cost_usd")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Group:
    """The rows of one strategy's cells, which differ in their seeds alone."""

    cell: Cell
    rows: Sequence[Solved]

    @classmethod
    def read(cls, store: RunStore, cells: Sequence[Cell]) -> _Group:
        rows = [(cell.seed, row) for cell in cells for row in store.rows(cell, texts=False)]
        return cls(cells[0], rows)


def summarise(store: RunStore, equal: Sequence[str] | None = None) -> list[Summary]:
    """Return a summary for each strategy of each task, in the suite's order.

    Rows of one strategy at a time are in memory, without their texts.

    Args:
        store: The rows; there may be more to come.
        equal: Equal costs at which to compare; None: those that the run was made for.
    """
    kinds = store.about().get("equal", []) if equal is None else equal
    places: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
    for cell in store.cells():
        places[cell.task, cell.model, cell.strategy, cell.budget].append(cell)
    pools = {
        (cells[0].task, cells[0].model): _Pools.of(_Group.read(store, cells))
        for cells in places.values()
        if cells[0].is_baseline
    }
    found = []
    for cells in places.values():
        group = _Group.read(store, cells)
        summary = _summary(group)
        baseline = pools.get((group.cell.task, group.cell.model))
        if baseline is not None and not group.cell.is_baseline:
            each = {kind: _comparison(kind, group.rows, baseline) for kind in kinds}
            summary = replace(
                summary,
                equal=tuple(one for one in each.values() if isinstance(one, Comparison)),
                unequal={kind: why for kind, why in each.items() if isinstance(why, str)},
            )
        found.append(summary)
    return _adjusted(found)


def _adjusted(summaries: Sequence[Summary]) -> list[Summary]:
    """Adjust the p-values of all comparisons for their number."""
    adjusted = iter(holm([one.p for each in summaries for one in each.equal]))
    return [
        replace(each, equal=tuple(replace(one, p_holm=next(adjusted)) for one in each.equal))
        for each in summaries
    ]


def _summary(group: _Group) -> Summary:
    rows = [row for _, row in group.rows]
    ran = [row for row in rows if row.status != "failed"]
    judged = [row for row in ran if row.right is not None]
    values = [float(bool(row.right)) for row in judged]
    timed = [row.usage.wall_seconds for row in ran if not row.replayed_calls]
    stops = defaultdict[str, int](int)
    for row in ran:
        if row.stopped_by is not None:
            stops[row.stopped_by.rule] += 1
    return Summary(
        task=group.cell.task,
        model=group.cell.model,
        strategy=group.cell.strategy,
        budget=group.cell.budget,
        is_baseline=group.cell.is_baseline,
        seeds=len({seed for seed, _ in group.rows}),
        problems=len({row.example for row in rows}),
        n=len(judged),
        accuracy=_accuracy(values, [row.example for row in judged]),
        at_worst=sum(values) / len(rows) if rows else None,
        oracle=_mean([float(any(draw.right for draw in row.draws)) for row in ran]),
        means={name: _mean([getattr(row.costs, name) for row in ran]) for name in _MEANS},
        wall_seconds=_mean(timed),
        timed=len(timed),
        failed=len(rows) - len(ran),
        check_failures=len(ran) - len(judged),
        parse_failures=sum(row.parse_failures for row in ran),
        failed_calls=sum(row.failed_calls for row in rows),
        exhausted=sum(row.status == "budget_exhausted" for row in ran),
        stopped=dict(stops),
        repeated=_repeated(ran),
        curve=_Pools.of(group).points(),
    )


def _repeated(rows: Sequence[Row]) -> Repeated:
    again = [row.earlier for row in rows if row.earlier.tries]
    lost = Spent.sum(each.lost for each in again)
    tries = sum(each.tries for each in again)
    return Repeated(len(again), tries, lost.total_tokens, lost.cost_usd)


def _accuracy(values: Sequence[float], problems: Sequence[str]) -> Interval | None:
    """Wilson's interval of independent problems; by bootstrap where they are repeated."""
    if not values:
        return None
    if len(set(problems)) == len(problems):
        return wilson(round(sum(values)), len(values))
    return bootstrap(values, problems, beside=(0.0, 1.0))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class _Pools:
    """The stored samples of the problems that have them all, and what votes of them say."""

    places: dict[tuple[int, str], int]
    """Seed and problem to a row of the curves."""
    curves: Curves | None
    right: tuple[int, ...] = ()
    """Right samples of each."""

    @classmethod
    def of(cls, group: _Group) -> _Pools:
        rows = [(seed, row) for seed, row in group.rows if row.status != "failed"]
        sizes = {len(row.draws) for _, row in rows}
        size = max(sizes, default=0)
        ruled = any(row.stopped_by for _, row in rows)
        if not group.cell.is_pool or ((ruled or len(sizes) > 1) and not group.cell.is_baseline):
            return cls({}, None)  # they, or how many there are, depend on what others say
        whole = [(seed, row) for seed, row in rows if len(row.draws) == size and _is_judged(row)]
        if size < 2 or not whole:
            return cls({}, None)
        pools = [
            Pool(
                tuple(draw.key for draw in row.draws),
                _right_keys(row),
                tuple(draw.completion_tokens for draw in row.draws),
                row.costs.cost_usd,
                tuple(draw.prompt_tokens for draw in row.draws),
                row.price,
                _beside(row) if group.cell.is_vote else (0, 0),
            )
            for _, row in whole
        ]
        places = {(seed, row.example): at for at, (seed, row) in enumerate(whole)}
        return cls(places, curves(pools), tuple(_hits(row) for _, row in whole))

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
                    bootstrap(self.curves.accuracy[:, k - 1], problems, beside=(0.0, 1.0)),
                    sum(pass_at_k(right, n, k) for right in self.right) / len(self.right),
                    float(self.curves.total[:, k - 1].mean()),
                    float(self.curves.critical[:, k - 1].mean()),
                    None if np.isnan(usd) else usd,
                )
            )
        return tuple(found)


def _beside(row: Row) -> tuple[int, int]:
    """Return the tokens that were paid beside the samples: failed attempts, and lost tries."""
    prompts = sum(draw.prompt_tokens for draw in row.draws)
    completions = sum(draw.completion_tokens for draw in row.draws)
    costs = row.costs
    return max(0, costs.prompt_tokens - prompts), max(0, costs.completion_tokens - completions)


def _right_keys(row: Row) -> set[str]:
    """Return the answers that are right in the words in which a vote for them is returned.

    A vote that wins is told by its first draw, and a checker may tell spellings apart.
    """
    first: dict[str, bool] = {}
    for draw in row.draws:
        if draw.key is not None:
            first.setdefault(draw.key, bool(draw.right))
    return {key for key, is_right in first.items() if is_right}


def _is_judged(row: Row) -> bool:
    return all(draw.right is not None for draw in row.draws)


def _hits(row: Row) -> int:
    return sum(bool(draw.right) for draw in row.draws)


def _comparison(kind: str, rows: Sequence[Solved], pools: _Pools) -> Comparison | str | None:
    """Compare on the pairs in which both sides are known; None where there are none yet.

    A text says why there is no such cost to compare at.
    """
    pairs = [
        (row, pools.places[seed, row.example], f"{seed} {row.example}")
        for seed, row in rows
        if row.status != "failed" and row.right is not None and (seed, row.example) in pools.places
    ]
    if pools.curves is None or not pairs:
        return None
    spent = np.array([_cost(row, kind) for row, *_ in pairs], dtype=float)  # None: not a number
    baseline = pools.curves.of([place for _, place, _ in pairs])
    costs = baseline.cost(kind)
    if np.isnan(spent).any() or np.isnan(costs).any():
        return "a price is unknown"
    if not costs.any():
        return "the baseline costs nothing"
    right = np.array([float(bool(row.right)) for row, *_ in pairs])
    problems = [row.example for row, *_ in pairs]
    found = compare(right, spent, baseline.accuracy, costs, problems)
    votes = found.match.dealt(baseline.votes, [key for _, _, key in pairs])
    signs = [np.sign(total) for total in _sums(right - votes, problems)]
    better, worse = signs.count(1.0), signs.count(-1.0)
    p = mcnemar(better, worse)
    return Comparison(
        kind=kind,
        pairs=len(pairs),
        problems=len(set(problems)),
        samples=found.match.samples,
        note=found.match.note,
        baseline=found.baseline,
        gain=found.gain,
        better=better,
        worse=worse,
        p=p,
        p_holm=p,
        detectable=detectable(len(set(problems)), better + worse),
    )


def _cost(row: Row, kind: str) -> float | None:
    costs = row.costs
    kinds = {"total": costs.total_tokens, "critical": costs.critical_tokens, "usd": costs.cost_usd}
    return kinds[kind]


def _sums(values: Any, problems: Sequence[str]) -> list[float]:
    """Return the sum of each problem's values."""
    found: dict[str, list[float]] = defaultdict(list)
    for value, problem in zip(values, problems, strict=True):
        found[problem].append(float(value))
    return [sum(each) for each in found.values()]
