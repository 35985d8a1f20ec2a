"""All that a report says, as JSON values: the page, the plots and the live view read the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final

from tts.evals.records import Row
from tts.evals.report import curves, frontier, measures
from tts.evals.report.details import compact, detail, size
from tts.evals.report.runs import Entry, Result, Run
from tts.evals.report.textless import textless_result, textless_settings
from tts.evals.store import RunStore
from tts.evals.tries import Spent

__all__ = ["TEXT_BYTES", "Contents", "contents"]

TEXT_BYTES: Final = 8_000_000
"""Bytes of prompts, candidates and traces that a page holds unless told otherwise."""
_RESULTS: Final = 20_000
"""Solved problems that a page lists."""
_MISSES: Final = 20
"""Details in a row that no longer fit, after which the page is full."""
_LONGEST_PROBLEM: Final = 4000
_LONGEST_ANSWER: Final = 400


@dataclass(frozen=True, slots=True)
class Contents:
    """A report.

    Attributes:
        summary: Runs, entries, fronts, rules, problems and results; JSON values.
        details: What was said, by number of a result.
    """

    summary: dict[str, Any]
    details: dict[int, dict[str, Any]]


def contents(
    runs: Sequence[Run],
    entries: Sequence[Entry],
    *,
    text_bytes: int = TEXT_BYTES,
    questions: bool = True,
    replay_rules: bool = True,
    title: str | None = None,
) -> Contents:
    """Work out a report.

    Args:
        runs: The runs.
        entries: Their entries, in the order of the suite.
        questions: Whether texts may be told: what problems say and their own fields, answers,
            errors, and texts in settings, such as prompts. Without it no text of problems or models
            is there but in details: of each result its verdict, costs and counts.
        text_bytes: Most bytes of details; 0 leaves all of them out. Each entry gets those of its
            first problems; the statistics are of all.
        replay_rules: Whether to replay stopping rules over the stored samples, which takes
            seconds an entry: about seven for 64 samples of 200 problems.
        title: What the page is called; None: as the runs are.
    """
    listed = _listed(entries)
    problems, places = _problems(entries, listed, texts=questions)
    details, left_out = _details(runs, listed, text_bytes)
    pools = _pools(entries)
    told = [{**_told(entry), "is_pool": at in pools} for at, entry in enumerate(entries)]
    if not questions:
        told = [{**each, "settings": textless_settings(each["settings"])} for each in told]
    fronts = _fronts(told)
    paths = [run.path.resolve() for run in runs]
    summary = {
        "title": title or ", ".join(dict.fromkeys(run.name for run in runs)),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [_about(run, is_new=paths[at] not in paths[:at]) for at, run in enumerate(runs)],
        "entries": told,
        "fronts": fronts,
        "rules": _rules(entries, pools) if replay_rules else [],
        "problems": problems,
        "results": _results(listed, places, compact if questions else textless_result),
        "left_out": {
            "texts": not questions,
            "details": left_out,
            "results": sum(len(entry.results) for entry in entries) - len(listed),
            "text_bytes": text_bytes,
        },
    }
    return Contents(summary, details)


def _about(run: Run, *, is_new: bool) -> dict[str, Any]:
    """Return what a stranger may know of a run: no path of whose machine it was made on."""
    told = {"name": run.name, **{name: run.about.get(name) for name in ("version", "began")}}
    if "paid" in run.about:
        paid = Spent.model_validate(run.about["paid"]) if is_new else Spent()
        told["paid"] = {"tokens": paid.total_tokens, "usd": paid.cost_usd}
    return told


def _results(
    listed: Sequence[tuple[int, Entry, Result]],
    places: dict[tuple[str, str], int],
    told: Callable[[Row], dict[str, Any]],
) -> list[dict[str, Any]]:
    return [
        {
            "problem": places[entry.task, result.row.example],
            "entry": number,
            "run": result.run,
            "cell": result.row.cell,
            "seed": result.seed,
            **told(result.row),
        }
        for number, entry, result in listed
    ]


def _listed(entries: Sequence[Entry]) -> list[tuple[int, Entry, Result]]:
    """Return what is listed: each entry's first problems, in turn, until there are enough."""
    columns = [[(number, entry, result) for result in entry.results]
               for number, entry in enumerate(entries)]  # fmt: skip
    turns = (each for turn in zip_longest(*columns) for each in turn if each is not None)
    return [each for _, each in zip(range(_RESULTS), turns, strict=False)]


def _problems(
    entries: Sequence[Entry], listed: Sequence[tuple[int, Entry, Result]], *, texts: bool
) -> tuple[list[dict[str, Any]], dict[tuple[str, str], int]]:
    """Return the problems by task and id, and where each is."""
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    rows = {(entry.task, result.row.example): result.row for _, entry, result in listed}
    order = sorted(rows, key=lambda place: (tasks.index(place[0]), _natural(place[1])))
    told = [
        {
            "task": task,
            "id": example,
            "text": rows[task, example].problem[: _LONGEST_PROBLEM * texts],
            "answer": rows[task, example].right_answer[: _LONGEST_ANSWER * texts],
            "extra": rows[task, example].extra if texts else {},
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
    spent = misses = 0
    with ExitStack() as opened:
        stores: dict[int, RunStore] = {}
        for number, (_, _, result) in enumerate(listed):
            if spent >= most or misses >= _MISSES:
                break
            if result.run not in stores:
                store = RunStore(runs[result.run].path, read_only=True)
                stores[result.run] = opened.enter_context(store)
            row = stores[result.run].row(result.row.cell, result.row.example)
            if row is None:
                continue
            told = detail(row)
            bytes_ = size(told)
            fits = spent + bytes_ <= most
            misses = 0 if fits else misses + 1
            if fits:
                found[number] = told
                spent += bytes_
    return found, len(listed) - len(found)


def _told(entry: Entry) -> dict[str, Any]:
    made = measures.figures(entry)
    return {
        "task": entry.task,
        "model": entry.summary.model,
        "strategy": entry.strategy,
        "budget": entry.summary.budget,
        "label": entry.label,
        "run": entry.run,
        "seeds": sorted(entry.seeds),
        "baseline": entry.summary.is_baseline,
        "settings": entry.settings,
        "saturation": curves.saturation(made["curve"]),
        **made,
    }


def _fronts(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the front of each task and model at each cost, and tell entries where they are on it.

    Fewer samples of a baseline compete too: what only beats the whole pool has won nothing.
    """
    found = []
    for task, model in dict.fromkeys((each["task"], each["model"]) for each in told):
        members = [each for each in told if (each["task"], each["model"]) == (task, model)]
        for cost in measures.COSTS:
            places = {id(each): _place(each, cost) for each in members}
            fewer = [
                (point[cost], point["accuracy"][0])
                for each in members
                if each["baseline"] and cost != "seconds"
                for point in each["curve"]
                if point[cost] and point["accuracy"][0] > 0
            ]
            path = measures.front([*(each for each in places.values() if each), *fewer])
            for each in members:
                each.setdefault("front", [])
                if places[id(each)] in path:
                    each["front"].append(cost)
            found.append({"task": task, "model": model, "cost": cost, "path": path})
    return found


def _place(told: dict[str, Any], cost: str) -> measures.Place | None:
    spent, accuracy = told["costs"][cost], told["accuracy"]
    if not (spent and spent[0] > 0 and accuracy and accuracy[0] > 0):
        return None  # what solves nothing is the cheapest way to nothing
    return spent[0], accuracy[0]


def _pools(entries: Sequence[Entry]) -> set[int]:
    """Return whose samples stand for a task and model: its baseline's, where it has one."""
    found = {number for number, entry in enumerate(entries) if curves.is_pool(entry)}
    led = {entry.facet for entry in entries if entry.summary.is_baseline}
    return {
        number
        for number in found
        if entries[number].summary.is_baseline or entries[number].facet not in led
    }


def _rules(entries: Sequence[Entry], pools: set[int]) -> list[dict[str, Any]]:
    found = [(number, curves.pool(entries[number], frontier.REPLAYED)) for number in sorted(pools)]
    return [
        {"entry": number, "points": list(map(frontier.as_json, frontier.frontier(pool)))}
        for number, pool in found
        if pool is not None
    ]
