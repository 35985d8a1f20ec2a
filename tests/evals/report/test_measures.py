from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.evals.report import Entry, Run
from tts.evals.report.measures import Place, costs_of, figures, front

PLACES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=12)


@given(PLACES)
def test_nothing_beats_the_front_and_the_front_beats_the_rest(places: list[Place]) -> None:
    kept = front(places)
    assert kept == sorted(kept)
    assert set(kept) <= set(places)
    for cost, share in set(places) - set(kept):
        assert any(c <= cost and s >= share for c, s in kept)
    assert all(a[1] < b[1] for a, b in pairwise(kept))


Loaded = tuple[list[Run], list[Entry]]


def changed(entry: Entry, **update: object) -> Entry:
    first, *others = entry.results
    usage = first.row.usage.model_copy(update=update)
    rest = {name: value for name, value in update.items() if name in type(first.row).model_fields}
    row = first.row.model_copy(update={"usage": usage, **rest})
    return replace(entry, results=(replace(first, row=row), *others))


def test_a_price_that_is_unknown_once_is_unknown(loaded: Loaded) -> None:
    entry = loaded[1][1]
    assert costs_of(entry)["usd"] is not None
    assert costs_of(changed(entry, cost_usd=None))["usd"] is None


def test_seconds_are_of_the_longest_chain_whoever_made_its_calls(loaded: Loaded) -> None:
    entry = loaded[1][1]
    before = costs_of(entry)["seconds"]
    slow = costs_of(changed(entry, critical_seconds=1e6, wall_seconds=1.0, replayed_calls=1))
    assert before is not None
    assert slow["seconds"] is not None
    assert slow["seconds"].mean > 1000 > before.mean


def test_failed_runs_have_no_cost_and_are_counted(loaded: Loaded) -> None:
    pdr = next(entry for entry in loaded[1] if entry.strategy == "pdr")
    told = figures(pdr)
    assert told["counts"] == {"no_answer": 0, "exhausted": 0, "failed": 1, "unjudged": 1,
                              "unjudged_draws": 0, "unread": 0, "failed_calls": 0}  # fmt: skip
    assert told["n"] == 10
    alive = [r.row.usage.total_tokens for r in pdr.results if r.row.status != "failed"]
    assert told["costs"]["total"][0] == pytest.approx(sum(alive) / 11)


def test_comparisons_are_those_of_the_harness(loaded: Loaded) -> None:
    baseline, *others = loaded[1][:4]
    assert figures(baseline)["equal"] == {}
    assert [point["k"] for point in figures(baseline)["curve"]] == [1, 2, 4, 8, 16]
    assert all(set(figures(each)["equal"]) == {"total", "critical"} for each in others)
    assert all(figures(each)["unequal"] == {} for each in others)
