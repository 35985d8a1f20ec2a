"""All that a report says, as JSON values: the page, the plots and the live view read the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final

from tts.evals.report import curves, frontier, measures
from tts.evals.report.details import compact, detail, size
from tts.evals.report.runs import Entry, Result, Run, stored_row

__all__ = ["TEXT_BYTES", "Contents", "contents"]

TEXT_BYTES: Final = 8_000_000
"""Bytes of prompts, candidates and traces that a page holds unless told otherwise."""
_RESULTS: Final = 20_000
"""Solved problems that a page lists."""
_LONGEST_PROBLEM: Final = 4000
_LONGEST_ANSWER: Final = 400


@dataclass(frozen=True, slots=True)
class Contents:
    """A report.

    Attributes:
        summary: Runs, entries, curves, rules, problems and results; JSON values.
        details: What was said, by number of a result.
    """

    summary: dict[str, Any]
    details: dict[int, dict[str, Any]]


def contents(
    runs: Sequence[Run],
    entries: Sequence[Entry],
    *,
    text_bytes: int = TEXT_BYTES,
    replay_rules: bool = True,
) -> Contents:
    """Work out a report.

    Args:
        runs: The runs.
        entries: Their entries, in the order of the suite.
        text_bytes: Most bytes of details; 0 leaves all of them out. Each entry gets those of its
            first problems; the statistics are of all.
        replay_rules: Whether to replay stopping rules over the stored samples, which takes a
            second or so an entry.
    """
    listed = _listed(entries)
    problems, places = _problems(entries, listed)
    details, left_out = _details(runs, listed, text_bytes)
    pools = [curves.pool(entry) for entry in entries]
    summary = {
        "title": _title(runs),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [{"name": run.name, "about": run.about} for run in runs],
        "entries": _entries(entries),
        "curves": [
            {"entry": number, **curves.as_json(curves.sample_curve(pool))}
            for number, pool in enumerate(pools)
            if pool is not None
        ],
        "rules": [
            {"entry": number, "points": list(map(frontier.as_json, frontier.frontier(pool)))}
            for number, pool in enumerate(pools)
            if pool is not None and replay_rules
        ],
        "problems": problems,
        "results": [
            {"problem": places[entry.task, result.row.example], "entry": number,
             "run": result.run, "cell": result.row.cell, "seed": result.seed,
             **compact(result.row)}
            for number, entry, result in listed
        ],
        "left_out": {
            "details": left_out,
            "results": sum(len(entry.results) for entry in entries) - len(listed),
            "text_bytes": text_bytes,
        },
        "notes": _notes(entries),
    }  # fmt: skip
    return Contents(summary, details)


def _title(runs: Sequence[Run]) -> str:
    names = [str(run.about.get("title") or run.about.get("name") or run.name) for run in runs]
    return ", ".join(dict.fromkeys(names))


def _listed(entries: Sequence[Entry]) -> list[tuple[int, Entry, Result]]:
    """Return what is listed: each entry's first problems, in turn, until there are enough."""
    columns = [[(number, entry, result) for result in entry.results]
               for number, entry in enumerate(entries)]  # fmt: skip
    turns = (each for turn in zip_longest(*columns) for each in turn if each is not None)
    return [each for _, each in zip(range(_RESULTS), turns, strict=False)]


def _problems(
    entries: Sequence[Entry], listed: Sequence[tuple[int, Entry, Result]]
) -> tuple[list[dict[str, Any]], dict[tuple[str, str], int]]:
    """Return the problems by task and id, and where each is."""
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    rows = {(entry.task, result.row.example): result.row for _, entry, result in listed}
    order = sorted(rows, key=lambda place: (tasks.index(place[0]), _natural(place[1])))
    told = [
        {
            "task": task,
            "id": example,
            "text": rows[task, example].problem[:_LONGEST_PROBLEM],
            "answer": rows[task, example].right_answer[:_LONGEST_ANSWER],
            "extra": rows[task, example].extra,
        }
        for task, example in order
    ]
    return told, {place: at for at, place in enumerate(order)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which `p10` follows `p9`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def _details(
    runs: Sequence[Run], listed: Sequence[tuple[int, Entry, Result]], most: int
) -> tuple[dict[int, dict[str, Any]], int]:
    """Return details as far as they fit, and how many results have none."""
    found: dict[int, dict[str, Any]] = {}
    spent = 0
    for number, (_, _, result) in enumerate(listed):
        if spent >= most:
            break
        row = stored_row(runs[result.run].path, result.row.cell, result.row.example)
        if row is None:
            continue
        told = detail(row)
        bytes_ = size(told)
        if spent + bytes_ <= most:
            found[number] = told
            spent += bytes_
    return found, len(listed) - len(found)


def _entries(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    measured = [measures.measure(entry) for entry in entries]
    fronts = _fronts(entries, measured)
    return [
        {
            "task": entry.task,
            "model": entry.model,
            "strategy": entry.strategy,
            "budget": entry.budget,
            "label": entry.label,
            "run": entry.run,
            "seeds": sorted(set(entry.seeds)),
            "baseline": entry.is_baseline,
            "settings": entry.settings,
            "front": fronts[number],
            "difference": _difference(entry, entries),
            **measures.as_json(measured[number]),
        }
        for number, entry in enumerate(entries)
    ]


def _fronts(entries: Sequence[Entry], measured: Sequence[measures.Measured]) -> list[list[str]]:
    """Return for each entry the costs at which nothing of its task and model beats it."""
    found: list[list[str]] = [[] for _ in entries]
    facets: dict[tuple[str, str], list[int]] = {}
    for number, entry in enumerate(entries):
        facets.setdefault(entry.facet, []).append(number)
    for members in facets.values():
        for cost in measures.COSTS:
            points = [_point(measured[number], cost) for number in members]
            for at in measures.front(points):
                found[members[at]].append(cost)
    return found


def _point(measured: measures.Measured, cost: str) -> tuple[float, float] | None:
    spent = measured.costs[cost]
    if spent is None or measured.accuracy is None:
        return None
    return spent.value, measured.accuracy.value


def _difference(entry: Entry, entries: Sequence[Entry]) -> dict[str, Any] | None:
    baseline = measures.baseline_of(entry, entries)
    found = None if baseline is None else measures.compare(entry, baseline)
    if found is None or baseline is None:
        return None
    return {
        "to": baseline.label,
        "gain": list(found.gain),
        "problems": found.problems,
        "better": found.better,
        "worse": found.worse,
        "p": found.p,
    }


def _notes(entries: Sequence[Entry]) -> list[str]:
    return list(_told(entries))


def _told(entries: Sequence[Entry]) -> Iterator[str]:
    compared = [each for each in entries if measures.baseline_of(each, entries) is not None]
    if len(compared) > 1:
        yield (
            f"{len(compared)} entries are compared with a baseline: at p < 0.05 about one in "
            f"twenty comparisons would show a difference where there is none. Holm's correction "
            f"asks p < {0.05 / len(compared):.2g} of the smallest."
        )
    failed = sum(result.row.status == "failed" for each in entries for result in each.results)
    if failed:
        yield f"{failed} runs failed with an error. They count as wrong, with what they had spent."
    unjudged = sum(
        result.row.check_failure is not None for each in entries for result in each.results
    )
    if unjudged:
        yield f"{unjudged} answers could not be judged: their checker failed. They do not count."
