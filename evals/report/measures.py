"""An entry's figures as JSON: accuracy, costs with intervals, comparisons, and the front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any, Final

from tts.evals.figures import Comparison, Point
from tts.evals.records import Row
from tts.evals.report.runs import Entry
from tts.evals.statistics import Interval, bootstrap

__all__ = ["COSTS", "Place", "costs_of", "figures", "front", "known_costs", "told"]

Place = tuple[float, float]
"""Cost and accuracy."""

COSTS: Final[Mapping[str, Callable[[Row], float | None]]] = {
    "total": lambda row: row.costs.total_tokens,
    "critical": lambda row: row.costs.critical_tokens,
    "seconds": lambda row: row.costs.critical_seconds,
    "usd": lambda row: row.costs.cost_usd,
}
"""The costs of a solved problem; None where it is not known."""


def known_costs(row: Row) -> dict[str, float | None]:
    """Return the costs of a solved problem."""
    return {name: value(row) for name, value in COSTS.items()}


def costs_of(entry: Entry) -> dict[str, Interval | None]:
    """Return the mean costs a problem, of the runs that did not fail; None: not known.

    Seconds are those on the longest chain of calls, as they were first measured. A price that is
    unknown for one run is unknown for all: a mean of the others would be too low.
    """
    rows = [result.row for result in entry.results if result.row.status != "failed"]
    found: dict[str, Interval | None] = {}
    for name, value in COSTS.items():
        pairs = [(value(row), row.example) for row in rows]
        known = [(cost, example) for cost, example in pairs if cost is not None]
        whole = len(known) == len(pairs)
        costs, examples = [cost for cost, _ in known], [example for _, example in known]
        found[name] = bootstrap(costs, examples) if known and whole else None
    return found


def front(places: Sequence[Place]) -> list[Place]:
    """Return the places that no other beats, the cheapest first, each once.

    One beats another if it costs no more, is no less accurate, and differs.

    >>> front([(3.0, .7), (1.0, .5), (2.0, .5)])
    [(1.0, 0.5), (3.0, 0.7)]
    """
    kept: list[Place] = []
    for place in sorted(set(places), key=lambda each: (each[0], -each[1])):
        if not kept or place[1] > kept[-1][1]:
            kept.append(place)
    return kept


def told(interval: Interval | None) -> list[float] | None:
    """Return an interval as JSON: estimate, low, high."""
    return None if interval is None else list(astuple(interval))


def figures(entry: Entry) -> dict[str, Any]:
    """Return an entry's figures as JSON."""
    summary = entry.summary
    rows = [result.row for result in entry.results]
    return {
        "n": summary.n,
        "problems": summary.problems,
        "results": len(rows),
        "planned": entry.planned,
        "accuracy": told(summary.accuracy),
        "at_worst": summary.at_worst,
        "oracle": summary.oracle,
        "costs": {name: told(each) for name, each in costs_of(entry).items()},
        "calls": summary.means["calls"],
        "samples": sum(len(row.draws) for row in rows) / len(rows) if rows else None,
        "counts": {
            "no_answer": sum(row.status == "no_answer" for row in rows),
            "exhausted": summary.exhausted,
            "failed": summary.failed,
            "unjudged": summary.check_failures,
            "unjudged_draws": summary.unjudged_draws,
            "unread": summary.parse_failures,
            "failed_calls": summary.failed_calls,
        },
        "stopped": summary.stopped,
        "repeated": asdict(summary.repeated),
        "equal": {each.kind: _compared(each) for each in summary.equal},
        "unequal": summary.unequal,
        "curve": [_at(point) for point in summary.curve],
    }


def _compared(each: Comparison) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(each).items() if name != "by_problem"}
    return {
        **kept,
        "baseline": told(each.baseline),
        "gain": told(each.gain),
        "is_result": each.is_result,
        "is_split": each.is_split,
    }


def _at(point: Point) -> dict[str, Any]:
    return {
        "k": point.k,
        "accuracy": told(point.accuracy),
        "pass": point.pass_at_k,
        "total": point.total_tokens,
        "critical": point.critical_tokens,
        "usd": point.cost_usd,
    }
