"""The comparison that the bench of strategies prints: each one against self-consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final

import numpy as np

from tts.evals.bench.strategy_rows import POOL, Entry, Task
from tts.evals.equal import compare
from tts.evals.pools import Curves, Pool, curves
from tts.evals.statistics import Interval, bootstrap

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
    """A strategy on the problems of a level; costs, counts and failures are means a problem.

    Problems on which it failed count on neither side: nobody knows what they cost.
    """

    level: int
    name: str
    problems: int
    failed: int
    """Problems that are left out."""
    accuracy: Interval
    oracle: float
    """Share of problems that any candidate solved: what a perfect choice would reach."""
    means: dict[str, float]
    equal_total: Against
    equal_critical: Against


_MEANS = ("samples", "calls", "total_tokens", "critical_tokens", "parse_failures", "failed_calls")


def result_of(entry: Entry, tasks: Sequence[Task], baseline: Curves) -> Result:
    """Compare an entry on those problems of one level on which it did not fail."""
    kept = [at for at, task in enumerate(tasks) if not _has_failed(entry, task)]
    baseline = baseline.of(kept)
    rows = [entry.store.rows[tasks[at].id] for at in kept]
    pairs = zip(rows, kept, strict=True)
    right = np.array([float(row["answer"] == tasks[at].right) for row, at in pairs])
    means = {name: float(np.mean([row.get(name, 0) for row in rows])) for name in _MEANS}

    def against(kind: str) -> Against:
        spent = np.array([float(row.get(f"{kind}_tokens", 0)) for row in rows])
        found = compare(right, spent, baseline.accuracy, baseline.cost(kind))
        return Against(found.match.samples, found.match.note, found.baseline, found.gain)

    return Result(
        tasks[0].level,
        entry.name,
        len(kept),
        len(tasks) - len(kept),
        bootstrap(right),
        float(np.mean([row.get("oracle", False) for row in rows])),
        means,
        against("total"),
        against("critical"),
    )


def report(tasks: Sequence[Task], entries: Sequence[Entry]) -> tuple[list[Result], dict[int, Any]]:
    """Return all results, and self-consistency's accuracy by samples for each level.

    An entry that failed on all problems of a level has no result there.
    """
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
        results += [
            result_of(entry, own, baseline)
            for entry in entries
            if entry.name != POOL and not all(_has_failed(entry, task) for task in own)
        ]
    return results, alone


def _is_lost(pool: Entry, task: Task) -> bool:
    drawn = pool.store.rows[task.id].get("answers", ())
    return len(drawn) < int(pool.strategy.model_dump()["samples"])


def _has_failed(entry: Entry, task: Task) -> bool:
    return bool(entry.store.rows[task.id].get("failed"))


def show(results: Sequence[Result], alone: Mapping[int, Any]) -> None:
    """Print Markdown: accuracies and gains in percent."""
    for level, curve in alone.items():
        print(f"\nLevel {level}. Self-consistency alone: ", end="")
        print(", ".join(f"{n}: {100 * at['accuracy']['mean']:.1f}" for n, at in curve.items()))
        print("\n| strategy | accuracy | oracle | calls | total | critical ", end="")
        print(f"| unread | failed | {_HEADS}")
        print("|" + " --- |" * 12)
        for each in (each for each in results if each.level == level):
            means = each.means
            print(
                f"| {each.name} | {100 * each.accuracy.mean:.1f} | {100 * each.oracle:.1f} "
                f"| {means['calls']:.1f} | {means['total_tokens']:.0f} "
                f"| {means['critical_tokens']:.0f} | {means['parse_failures']:.1f} | {each.failed} "
                f"| {_told(each.equal_total)} | {_told(each.equal_critical)} |"
            )


_HEADS: Final = "SC at equal total (N) | gain | SC at equal critical (N) | gain |"


def _told(against: Against) -> str:
    mean, low, high = (100 * part for part in astuple(against.gain))
    gain = f"{mean:+.1f} [{low:.1f}, {high:.1f}]"
    note = f", {against.note}" if against.note else ""
    return f"{100 * against.accuracy.mean:.1f} ({against.samples:.1f}{note}) | {gain}"
