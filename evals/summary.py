"""What the rows of a run store say: accuracies, costs, and comparisons at equal cost.

Seeds are repeats: a summary is of a task, models, a strategy and a budget, over all seeds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tts.evals.comparing import Pools, Solved, comparison
from tts.evals.figures import Comparison, Point, Repeated, Summary
from tts.evals.outcomes import Outcomes
from tts.evals.records import Cell, Row
from tts.evals.statistics import LEVEL, Interval, bootstrap, detectable, holm, wilson
from tts.evals.store import RunStore
from tts.evals.tries import Spent

__all__ = ["Comparison", "Point", "Summary", "summarise"]

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

    @property
    def pools(self) -> Pools:
        return Pools.of(self.cell, self.rows)


def summarise(store: RunStore, equal: Sequence[str] | None = None) -> list[Summary]:
    """Return a summary for each strategy of each task, in the suite's order.

    Rows of one strategy at a time are in memory, without their texts; of the others, a number each.

    Args:
        store: The rows; there may be more to come.
        equal: Equal costs at which to compare; None: those that the run was made for.
    """
    kinds = store.about().get("equal", []) if equal is None else equal
    about = Outcomes()
    places: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
    for cell in store.cells():
        places[cell.task, cell.model, cell.strategy, cell.budget].append(cell)
    pools = {
        place: _Group.read(store, cells).pools
        for place, cells in places.items()
        if cells[0].is_baseline
    }
    baselines = {place[:2]: found for place, found in pools.items()}
    found = []
    for place, cells in places.items():
        group = _Group.read(store, cells)
        about.add(group.cell, group.rows)
        own = pools.get(place)
        told = _summary(group, group.pools if own is None else own)
        summary = replace(told, same_as=about.same_as(group.cell))
        found.append(_compared(summary, group, kinds, baselines.get(place[:2])))
    return _adjusted([replace(each, saving=about.saving(each)) for each in found])


def _compared(
    summary: Summary, group: _Group, kinds: Sequence[str], baseline: Pools | None
) -> Summary:
    if baseline is None or group.cell.is_baseline:
        return summary
    each = {kind: comparison(kind, group.rows, baseline) for kind in kinds}
    return replace(
        summary,
        equal=tuple(one for one in each.values() if isinstance(one, Comparison)),
        unequal={kind: why for kind, why in each.items() if isinstance(why, str)},
    )


def _adjusted(summaries: Sequence[Summary]) -> list[Summary]:
    """Adjust what comparisons say for their number; the same rows are compared once."""
    tests = {(*_place(each), one.kind): one.p for each in summaries for one in each.equal}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))

    def of_all(each: Summary, one: Comparison) -> Comparison:
        seen = detectable(one.by_problem, level=1 - LEVEL / len(tests))
        return replace(one, p_holm=adjusted[(*_place(each), one.kind)], detectable=seen)

    return [
        replace(each, equal=tuple(of_all(each, one) for one in each.equal)) for each in summaries
    ]


def _place(each: Summary) -> tuple[str, str, str, str]:
    return each.task, each.model, each.strategy, each.same_as or each.budget


def _summary(group: _Group, pools: Pools) -> Summary:
    rows = [row for _, row in group.rows]
    ran = [row for row in rows if row.status != "failed"]
    judged = [row for row in ran if row.right is not None]
    values = [float(bool(row.right)) for row in judged]
    timed = [row.usage.wall_seconds for row in ran if not row.replayed_calls]
    why = _most_common(row.error for row in rows if row.status == "failed")
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
        why_failed=why,
        failed_otherwise=sum(row.status == "failed" and row.error != why for row in rows),
        check_failures=len(ran) - len(judged),
        unjudged_draws=sum(draw.right is None for row in ran for draw in row.draws),
        parse_failures=sum(row.parse_failures for row in ran),
        failed_calls=sum(row.failed_calls for row in rows),
        exhausted=sum(row.status == "budget_exhausted" for row in ran),
        stopped=dict(stops),
        repeated=_repeated(ran),
        curve=pools.points(),
    )


def _most_common(errors: Iterable[str | None]) -> str | None:
    """Return the error that is there most often; of several, the first."""
    often = Counter(error for error in errors if error)
    return max(often, key=often.__getitem__, default=None)


def _repeated(rows: Sequence[Row]) -> Repeated:
    again = [row.earlier for row in rows if row.earlier.tries]
    lost = Spent.sum(each.lost for each in again)
    tries = sum(each.tries for each in again)
    killed = sum(each.killed for each in again)
    return Repeated(len(again), tries, lost.total_tokens, lost.cost_usd, killed)


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
