"""The comparison that the bench of strategies prints: each one against self-consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final

import numpy as np

from tts.evals.bench.matching import Curves, Matched, Pool, compare, curves, matched
from tts.evals.bench.reference_levels import Interval, bootstrap
from tts.evals.bench.strategy_rows import POOL, Entry, Task

__all__ = ["Result", "report", "show"]


@dataclass(frozen=True, slots=True)
class Against:
    """A strategy against self-consistency at one equal cost."""

    samples: float
    note: str
    accuracy: Interval
    gain: Interval


@dataclass(frozen=True, slots=True)
class Result:
    """A strategy on the problems of a level; costs, counts and failures are means a problem."""

    level: int
    name: str
    problems: int
    accuracy: Interval
    oracle: float
    """Share of problems that any candidate solved: what a perfect choice would reach."""
    means: dict[str, float]
    equal_total: Against
    equal_critical: Against


_MEANS = ("samples", "calls", "total_tokens", "critical_tokens", "parse_failures", "failed_calls")


def _mean(values: Sequence[float]) -> float:
    """What failed altogether has no cost, and must not make the rest look cheap."""
    return float(np.mean(values)) if values else float("nan")


def result_of(entry: Entry, tasks: Sequence[Task], baseline: Curves) -> Result:
    """Compare an entry on the problems of one level."""
    rows = [entry.store.rows[task.id] for task in tasks]
    pairs = zip(rows, tasks, strict=True)
    right = np.array([float(row["answer"] == task.right) for row, task in pairs])
    means = {name: _mean([row[name] for row in rows if name in row]) for name in _MEANS}

    def against(costs: np.ndarray[Any, Any], cost: float) -> Against:
        match: Matched = matched(costs.mean(0), cost)
        return Against(match.samples, match.note, *compare(right, baseline.accuracy, match))

    return Result(
        tasks[0].level,
        entry.name,
        len(tasks),
        bootstrap(right),
        float(np.mean([row.get("oracle", False) for row in rows])),
        means,
        against(baseline.total, means["total_tokens"]),
        against(baseline.critical, means["critical_tokens"]),
    )


def report(tasks: Sequence[Task], entries: Sequence[Entry]) -> tuple[list[Result], dict[int, Any]]:
    """Return all results, and self-consistency's accuracy by samples for each level."""
    pool = next(entry for entry in entries if entry.name == POOL)
    results: list[Result] = []
    alone: dict[int, Any] = {}
    for level in sorted({task.level for task in tasks}):
        own = [task for task in tasks if task.level == level and not _is_lost(pool, task)]
        rows = [pool.store.rows[task.id] for task in own]
        baseline = curves(
            [
                Pool(tuple(row["answers"]), task.right, tuple(row["costs"]))
                for row, task in zip(rows, own, strict=True)
            ]
        )
        sizes = [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= baseline.accuracy.shape[1]]
        alone[level] = {
            n: {
                "accuracy": asdict(bootstrap(baseline.accuracy[:, n - 1])),
                "total_tokens": float(baseline.total[:, n - 1].mean()),
                "critical_tokens": float(baseline.critical[:, n - 1].mean()),
            }
            for n in sizes
        }
        results += [result_of(entry, own, baseline) for entry in entries if entry.name != POOL]
    return results, alone


def _is_lost(pool: Entry, task: Task) -> bool:
    drawn = pool.store.rows[task.id].get("answers", ())
    return len(drawn) < int(pool.strategy.model_dump()["samples"])


def show(results: Sequence[Result], alone: Mapping[int, Any]) -> None:
    """Print Markdown: accuracies and gains in percent."""
    for level, curve in alone.items():
        print(f"\nLevel {level}. Self-consistency alone: ", end="")
        print(", ".join(f"{n}: {100 * at['accuracy']['mean']:.1f}" for n, at in curve.items()))
        print(f"\n| strategy | accuracy | oracle | calls | total | critical | unread | {_HEADS}")
        print("|" + " --- |" * 11)
        for each in (each for each in results if each.level == level):
            means = each.means
            print(
                f"| {each.name} | {100 * each.accuracy.mean:.1f} | {100 * each.oracle:.1f} "
                f"| {means['calls']:.1f} | {means['total_tokens']:.0f} "
                f"| {means['critical_tokens']:.0f} | {means['parse_failures']:.1f} "
                f"| {_told(each.equal_total)} | {_told(each.equal_critical)} |"
            )


_HEADS: Final = "SC at equal total (N) | gain | SC at equal critical (N) | gain |"


def _told(against: Against) -> str:
    mean, low, high = (100 * part for part in astuple(against.gain))
    gain = f"{mean:+.1f} [{low:.1f}, {high:.1f}]"
    note = f", {against.note}" if against.note else ""
    return f"{100 * against.accuracy.mean:.1f} ({against.samples:.1f}{note}) | {gain}"
