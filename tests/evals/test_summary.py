from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evals.sums import row
from tts.evals.figures import Saving, Summary
from tts.evals.records import Cell, Draw, Row
from tts.evals.statistics import detectable, sign_flip
from tts.evals.store import RunStore
from tts.evals.summary import summarise
from tts.evals.tries import Spent, Tried
from tts.problem import StoppedBy

BASE = Cell(task="t", model="m", strategy="baseline", is_baseline=True)
MINE = Cell(task="t", model="m", strategy="mine")
POOL = (("1", True), ("2", False), ("1", True), ("3", False))


def summaries(
    folder: Path, rows: Sequence[Row], cells: Sequence[Cell] = (BASE, MINE), *equal: str
) -> dict[str, Summary]:
    folder.mkdir(exist_ok=True)
    with RunStore(folder / "run.sqlite") as store:
        store.plan(list(cells))
        for each in rows:
            store.add(each)
        return {each.strategy: each for each in summarise(store, equal or ("total",))}


def pool(problem: str, *draws: tuple[str, bool], cell: Cell = BASE) -> Row:
    return row(cell.key, problem, draws=draws or POOL, tokens=40)


def test_failures_of_model_and_checker_are_apart_from_wrong_answers(tmp_path: Path) -> None:
    rows = [
        row(MINE.key, "a"),
        row(MINE.key, "b", False, parse_failures=2, failed_calls=1),
        row(MINE.key, "c", None, check_failure="too hard"),
        row(MINE.key, "d", None, status="failed", error="down", tokens=10**6),
    ]
    found = summaries(tmp_path, rows, [MINE])["mine"]
    assert found.accuracy is not None
    assert (found.n, found.problems, found.accuracy.mean) == (2, 4, 0.5)
    assert found.at_worst == 0.25
    assert (found.failed, found.check_failures) == (1, 1)
    assert (found.parse_failures, found.failed_calls) == (2, 1)
    assert found.means["total_tokens"] == 10  # of the runs that did not fail
    told = json.loads(json.dumps(found.report()))
    assert told["errors"] == 2
    assert told["failures"] == {
        "model": 1, "checker": 1, "unjudged_draws": 0, "parse": 2, "calls": 1,
    }  # fmt: skip


def test_the_row_that_scripts_rely_on(tmp_path: Path) -> None:
    rows = [pool("a"), pool("b"), row(MINE.key, "a"), row(MINE.key, "b", False)]
    told = summaries(tmp_path, rows)["mine"].report()
    promised = {"accuracy", "ci95", "total_tokens", "critical_tokens", "calls", "wall_seconds"}
    assert promised | {"task", "strategy", "errors", "n"} <= set(told)
    assert told["ci95"][0] <= told["accuracy"] <= told["ci95"][1]
    equal = told["equal"]["total"]
    assert set(equal) == {
        "pairs", "problems", "left_out", "failed", "unjudged", "samples", "note", "accuracy",
        "ci95", "gain", "gain_ci95", "better", "worse", "difference", "p", "p_holm", "detectable",
        "cost_difference",
    }  # fmt: skip


def test_the_baseline_is_cut_to_the_cost_of_the_strategy(tmp_path: Path) -> None:
    rows = [pool(name) for name in "abcd"] + [row(MINE.key, name, tokens=20) for name in "abcd"]
    (one,) = summaries(tmp_path, rows)["mine"].equal
    assert (one.kind, one.pairs, one.samples, one.note) == ("total", 4, 2.0, "")
    assert one.gain.mean == pytest.approx(1.0 - one.baseline.mean)


@pytest.mark.parametrize(("tokens", "note"), [(5, "dearer"), (40, ""), (90, "capped")])
def test_what_cannot_be_matched_is_told(tmp_path: Path, tokens: int, note: str) -> None:
    rows = [pool("a"), row(MINE.key, "a", tokens=tokens)]
    found = summaries(tmp_path, rows, (BASE, MINE), "total", "critical", "usd")["mine"]
    kinds = {one.kind: one for one in found.equal}
    assert set(kinds) == {"total", "critical", "usd"}
    assert kinds["total"].note == note
    # All samples at once wait for one of them alone: ten tokens, however many there are.
    assert kinds["critical"].note == ("dearer" if tokens < 10 else "capped")


def failed_run(example: str, tokens: int = 10) -> Row:
    return row(MINE.key, example, None, status="failed", error="down", tokens=tokens)


def test_pairs_without_a_pool_are_left_out_and_runs_that_failed_are_not(tmp_path: Path) -> None:
    lost = row(BASE.key, "b", draws=POOL[:2])  # half of its pool's calls failed
    rows = [pool("a"), lost, pool("c"), row(MINE.key, "a"), row(MINE.key, "b"), failed_run("c")]
    (one,) = summaries(tmp_path, rows)["mine"].equal
    assert (one.pairs, one.left_out, one.failed, one.unjudged) == (2, 1, 1, 0)


def test_a_run_that_failed_counts_as_right_and_as_wrong_at_the_cost_of_the_others(
    tmp_path: Path,
) -> None:
    """A strategy that fails where it would be wrong must not look better for that."""
    names = [str(n) for n in range(40)]
    rows = [pool(each) for each in names]
    ran = [row(MINE.key, each, tokens=10) for each in names[:30]]
    (one,) = summaries(tmp_path, [*rows, *ran, *map(failed_run, names[30:])])["mine"].equal
    ends = []
    for verdict in (False, True):
        rest = [row(MINE.key, each, verdict, tokens=10) for each in names[30:]]
        (end,) = summaries(tmp_path / str(verdict), rows + ran + rest)["mine"].equal
        ends.append(end)
    assert (one.pairs, one.failed, one.samples) == (40, 10, ends[0].samples)
    assert (one.gain.low, one.gain.high) == (ends[0].gain.low, ends[1].gain.high)
    assert one.p == max(end.p for end in ends)
    assert one.difference == pytest.approx(sum(end.difference for end in ends) / 2)


def test_a_run_that_failed_late_is_as_dear_as_it_was(tmp_path: Path) -> None:
    """Or failing after a hundred calls would be as cheap as never having begun."""
    names = [str(n) for n in range(10)]
    rows = [pool(each) for each in names]
    ran = [row(MINE.key, each, tokens=10) for each in names[:8]]
    late = [failed_run(each, tokens=70) for each in names[8:]]
    (one,) = summaries(tmp_path, [*rows, *ran, *late])["mine"].equal
    assert one.samples == pytest.approx((8 * 10 + 2 * 70) / 10 / 10)
    early = [failed_run(each, tokens=1) for each in names[8:]]
    (one,) = summaries(tmp_path / "early", [*rows, *ran, *early])["mine"].equal
    assert one.samples == 1.0  # another try would cost as much as others do


@pytest.mark.parametrize("kind", ["total", "usd"])
def test_what_a_failed_run_paid_in_vain_comes_on_top_of_another_try(
    tmp_path: Path, kind: str
) -> None:
    """A try that succeeds at last pays for itself and for what was lost: no less before it."""
    names = [str(n) for n in range(10)]
    pools = [pool(each, *POOL * 3) for each in names]  # twelve samples for 40 tokens
    ran = [row(MINE.key, each, tokens=10) for each in names[:8]]
    paid = Spent(calls=3, prompt_tokens=30, cost_usd=30e-6)
    kept = Spent(calls=1, prompt_tokens=8, cost_usd=8e-6)
    tried = Tried(tries=1, paid=paid, made={"digest": kept})
    failed = [failed_run(each, tokens=30).model_copy(update={"tried": tried}) for each in names[8:]]
    (before,) = summaries(tmp_path, [*pools, *ran, *failed], (BASE, MINE), kind)["mine"].equal
    earlier = tried.settled(["digest"])
    again = [row(MINE.key, each, tokens=10, earlier=earlier) for each in names[8:]]
    (after,) = summaries(tmp_path / "2", [*pools, *ran, *again], (BASE, MINE), kind)["mine"].equal
    assert before.samples == pytest.approx(after.samples)
    assert after.failed == 0
    (waited,) = summaries(tmp_path, [], (BASE, MINE), "critical")["mine"].equal
    assert waited.off == pytest.approx((8 * 10 + 2 * 30) / 10 / 10 - 1)  # a try begins anew


def test_where_few_calls_were_lost_all_pools_are_cut_to_one_size(tmp_path: Path) -> None:
    whole = (("1", True), ("2", False)) * 10
    rows = [pool("a", *whole), pool("b", *whole[:18]), pool("c", *whole[:17])]
    rows += [row(MINE.key, each, tokens=40) for each in "abc"]
    found = summaries(tmp_path, rows)
    (one,) = found["mine"].equal
    assert (one.pairs, one.left_out) == (2, 1)
    last = found["baseline"].curve[-1]
    assert (last.k, last.total_tokens) == (18, 180.0)
    assert last.cost_usd == pytest.approx(40e-6 * (18 / 20 + 1) / 2)  # 40 were paid for each pool


def without_verdict(key: str, example: str, draw: int) -> Row:
    """A pool in which the answer of one draw is its own, and could not be judged."""
    found = pool(example)
    draws = list(found.draws)
    draws[draw] = draws[draw].model_copy(update={"right": None, "key": key, "answer": key})
    return found.model_copy(update={"draws": tuple(draws)})


def test_a_draw_without_a_verdict_leaves_no_problem_out(tmp_path: Path) -> None:
    rows = [pool("a"), without_verdict("odd", "b", 0)]
    rows += [row(MINE.key, each, tokens=10) for each in ("a", "b")]  # as dear as one sample
    found = summaries(tmp_path, rows)
    (one,) = found["mine"].equal
    assert (one.pairs, one.left_out, one.unjudged) == (2, 0, 1)
    assert found["baseline"].unjudged_draws == 1
    right, size = sum(bool(draw[1]) for draw in POOL), len(POOL)
    known = right - bool(POOL[0][1])  # of one vote: right of the pool, and perhaps one more
    low, high = (right + known) / size / 2, (right + known + 1) / size / 2
    # Curves are averages over 64 random orders a problem. Of other seeds 1 in 300 would lie beyond
    # three standard errors; so does, as a control, what taking all of "b" for wrong would give.
    near = pytest.approx((low + high) / 2, abs=3 * (0.25 / 64 / 2) ** 0.5)
    assert one.baseline.mean == near
    assert right / size / 2 != near
    assert one.baseline.low <= low <= high <= one.baseline.high


def test_an_answer_without_a_verdict_counts_both_ways(tmp_path: Path) -> None:
    """No end of the interval takes an unknown verdict for wrong, or for right, alone."""
    names = [str(n) for n in range(40)]
    flags = [(("1", number % 2 == 0), ("1", number % 2 == 0)) for number in range(40)]
    rows = [pool(each, *draws) for each, draws in zip(names, flags, strict=True)]
    unknown = [row(MINE.key, each, None, check_failure="x", tokens=10) for each in names]
    unknown = [each.model_copy(update={"answer": "2"}) for each in unknown]
    (one,) = summaries(tmp_path, rows + unknown)["mine"].equal
    wrong = [row(MINE.key, each, False, tokens=10) for each in names]
    right = [row(MINE.key, each, tokens=10) for each in names]
    (low,) = summaries(tmp_path / "wrong", rows + wrong)["mine"].equal
    (high,) = summaries(tmp_path / "right", rows + right)["mine"].equal
    assert (one.gain.low, one.gain.high) == (low.gain.low, high.gain.high)
    assert one.unjudged == 40
    assert max(low.p, high.p) < 0.05  # either way it would be a result, in opposite directions
    assert one.p == 1.0


def test_an_answer_without_a_verdict_that_both_sides_gave_says_nothing_of_either(
    tmp_path: Path,
) -> None:
    names = [str(n) for n in range(20)]
    odd = [without_verdict("odd", each, 0) for each in names]
    same = [
        row(MINE.key, each, None, check_failure="x", tokens=10, draws=(("odd", False),))
        for each in names
    ]
    mine = [each.model_copy(update={"answer": "odd"}) for each in same]
    (one,) = summaries(tmp_path, odd + mine)["mine"].equal  # the vote of one sample: ticket 0
    assert (one.unjudged, one.difference, one.better, one.worse, one.p) == (20, 0.0, 0, 0, 1.0)
    other = [each.model_copy(update={"answer": "mine"}) for each in same]
    (one,) = summaries(tmp_path / "other", odd + other)["mine"].equal
    assert (one.better, one.worse, one.p) == (0, 0, 1.0)  # nobody knows which of the two is right


def test_why_nothing_is_compared_is_told(tmp_path: Path) -> None:
    failed = [row(BASE.key, "a", None, status="failed", error="x"), row(MINE.key, "a")]
    told = summaries(tmp_path, failed)["mine"]
    assert told.equal == ()
    assert told.unequal["total"] == "no pool of samples is whole: 1 of 1 failed or lost calls"
    down = [pool("a"), row(MINE.key, "a", None, status="failed", error="x")]
    told = summaries(tmp_path / "down", down)["mine"]
    assert told.unequal["total"] == "all runs of the strategy failed"
    ahead = summaries(tmp_path / "ahead", [row(MINE.key, "a")])["mine"]
    assert ahead.unequal["total"] == "the baseline has not drawn the samples of its problems"
    elsewhere = summaries(tmp_path / "elsewhere", [pool("b"), row(MINE.key, "a")])["mine"]
    assert elsewhere.unequal == ahead.unequal
    assert summaries(tmp_path / "none", [pool("a")])["mine"].unequal == {}  # it has not run


def test_runs_that_failed_beside_all_whole_pools_are_why_nothing_is_compared(
    tmp_path: Path,
) -> None:
    rows = [pool("a"), pool("b"), row(BASE.key, "c", draws=POOL[:1])]
    rows += [failed_run("a"), failed_run("b"), row(MINE.key, "c")]
    told = summaries(tmp_path, rows)["mine"]
    why = "all its runs failed on the problems that have a whole pool of samples"
    assert (told.equal, told.unequal) == ((), {"total": why})


def test_pools_without_two_samples_are_lost(tmp_path: Path) -> None:
    rows = [row(BASE.key, "a", draws=POOL[:1]), row(BASE.key, "b"), row(MINE.key, "a")]
    told = summaries(tmp_path, rows)["mine"].unequal
    assert told == {"total": "no pool of samples is whole: 1 of 1 failed or lost calls"}


def test_without_a_price_there_is_no_equal_price(tmp_path: Path) -> None:
    free = pool("a")
    usage = free.usage.model_copy(update={"cost_usd": None})
    rows = [free.model_copy(update={"usage": usage}), row(MINE.key, "a")]
    found = summaries(tmp_path, rows, (BASE, MINE), "usd", "total")["mine"]
    assert [one.kind for one in found.equal] == ["total"]
    assert found.unequal == {"usd": "a price is unknown in 1 of 2 runs of both sides"}
    assert found.report()["unequal"] == found.unequal


def test_what_costs_nothing_is_not_compared_at_equal_dollars(tmp_path: Path) -> None:
    rows = [pool("a"), row(MINE.key, "a")]
    gratis = [
        each.model_copy(update={"usage": each.usage.model_copy(update={"cost_usd": 0.0})})
        for each in rows
    ]
    found = summaries(tmp_path, gratis, (BASE, MINE), "usd")["mine"]
    assert (found.equal, found.unequal) == ((), {"usd": "the baseline costs nothing"})


def test_curves_agree_with_all_subsets(tmp_path: Path) -> None:
    found = summaries(tmp_path, [pool("a")])["baseline"]
    right = [hit for _, hit in POOL]
    for point in found.curve:
        subsets = list(itertools.combinations(right, point.k))
        assert point.pass_at_k == pytest.approx(np.mean([any(each) for each in subsets]))
    assert [point.k for point in found.curve] == [1, 2, 4]
    # Over 64 random orders: of other seeds 1 in 700 would lie farther off. Four samples do, too.
    assert found.curve[0].accuracy.mean == pytest.approx(0.5, abs=0.2)
    assert found.curve[-1].accuracy.mean == 1.0


def test_answers_that_are_right_in_other_words_are_right_votes(tmp_path: Path) -> None:
    found = summaries(tmp_path, [pool("a", ("1/2", True), ("0.5", True), ("7", False))])["baseline"]
    assert found.curve[-1].accuracy.mean > 0.45  # the first of three wins: 2/3, not 1/3


def test_a_vote_is_right_in_the_words_it_is_told_in(tmp_path: Path) -> None:
    draws = tuple(Draw(answer=said, key="7", right=said == "7") for said in ("7.0", "7.0", "7"))
    rows = [row(BASE.key, "a").model_copy(update={"draws": draws})]
    assert summaries(tmp_path, rows)["baseline"].curve[-1].accuracy.mean == 0.0


def test_a_rule_that_decides_how_many_leaves_no_curve(tmp_path: Path) -> None:
    stopped = StoppedBy(rule="beta", reason="x", guarantee=None)
    rows = [row(MINE.key, name, draws=POOL, stopped_by=stopped) for name in "ab"]
    found = summaries(tmp_path, rows, [MINE])["mine"]
    assert found.curve == ()
    assert found.stopped == {"beta": 2}


def test_seeds_are_repeats_and_problems_the_unit(tmp_path: Path) -> None:
    cells = [cell.model_copy(update={"seed": s}) for s in (0, 1) for cell in (BASE, MINE)]
    rows = []
    for cell in cells:
        for name in "abcdefgh":
            own = POOL if name < "e" else (("9", False),) * 4
            rows.append(
                pool(name, *own, cell=cell)
                if cell.is_baseline
                else row(cell.key, name, name in "abef", tokens=10)
            )
    found = summaries(tmp_path, rows, cells)
    mine, (one,) = found["mine"], found["mine"].equal
    assert (mine.seeds, mine.problems, mine.n) == (2, 8, 16)
    assert (one.pairs, one.problems) == (16, 8)
    assert one.better == 2  # problems, not runs: e and f; a and b agree
    assert one.worse == 2
    assert mine.accuracy is not None
    assert mine.accuracy.high - mine.accuracy.low > 0.5  # eight problems, not sixteen


def test_p_is_of_the_difference_and_not_of_how_many_problems_are_won(tmp_path: Path) -> None:
    """Over 5 seeds 12 problems are lost by one each, and 7 won by all."""
    cells = [cell.model_copy(update={"seed": s}) for s in range(5) for cell in (BASE, MINE)]
    rows = [
        pool(f"{n}", *((("1", True) if n < 12 else ("2", False),) * 4), cell=cell)
        if cell.is_baseline
        else row(cell.key, f"{n}", n >= 12 or cell.seed > 0, tokens=20)
        for cell in cells
        for n in range(19)
    ]
    (one,) = summaries(tmp_path, rows, cells)["mine"].equal
    assert (one.better, one.worse) == (7, 12)
    assert one.difference == pytest.approx((7 * 5 - 12) / 95) == pytest.approx(one.gain.mean)
    assert one.p == sign_flip([5] * 7 + [-1] * 12)
    assert not one.is_split


def test_seconds_are_of_runs_that_made_their_calls(tmp_path: Path) -> None:
    slow = row(MINE.key, "a")
    slow = slow.model_copy(update={"usage": slow.usage.model_copy(update={"wall_seconds": 8.0})})
    shared = row(MINE.key, "b", replayed_calls=3)
    assert summaries(tmp_path, [slow, shared], [MINE])["mine"].wall_seconds == 8.0


def test_seconds_of_the_longest_chain_are_of_all_runs(tmp_path: Path) -> None:
    rows = [row(MINE.key, "a"), row(MINE.key, "b", replayed_calls=3)]
    waited = [
        each.model_copy(update={"usage": each.usage.model_copy(update={"critical_seconds": took})})
        for each, took in zip(rows, (4.0, 8.0), strict=True)
    ]
    found = summaries(tmp_path, waited, [MINE])["mine"]
    assert (found.report()["critical_seconds"], found.timed) == (6.0, 1)


def test_an_empty_store_has_summaries_without_figures(tmp_path: Path) -> None:
    found = summaries(tmp_path, [])
    assert found["mine"].accuracy is None
    assert json.dumps(found["mine"].report())


def test_p_values_are_adjusted_over_all_comparisons(tmp_path: Path) -> None:
    other = Cell(task="t", model="m", strategy="other")
    rows = [pool(str(n), *((("2", False),) * 4)) for n in range(6)]
    rows += [row(cell.key, str(n), tokens=20) for n in range(6) for cell in (MINE, other)]
    found = summaries(tmp_path, rows, (BASE, MINE, other))
    (one,) = found["mine"].equal
    assert one.p == 2 / 2**6
    assert one.p_holm == 2 * one.p
    assert one.by_problem == (1.0,) * 6
    assert one.detectable == 1.0  # p (Holm) is above .05 even if all six are won
    mine = [each for each in rows if each.cell != other.key]
    (alone,) = summaries(tmp_path / "alone", mine)["mine"].equal
    assert alone.detectable == detectable(alone.by_problem) < 1.0


def budgeted(budget: str) -> Cell:
    return MINE.model_copy(update={"budget": budget})


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"finished_at": "later", "replayed_calls": 3}, True),
        ({"answer": "7"}, False),
        ({"tokens": 21}, False),
        ({"status": "budget_exhausted"}, False),
        ({"draws": (("1", True),)}, False),
    ],
)
def test_a_budget_that_changes_nothing_is_no_second_test(
    tmp_path: Path, change: dict[str, Any], is_same: bool
) -> None:
    free, small = budgeted("none"), budgeted("small")
    rows = [pool(str(n), *((("2", False),) * 4)) for n in range(6)]
    rows += [row(free.key, str(n), tokens=20) for n in range(6)]
    rows += [row(small.key, str(n), tokens=20) for n in range(5)]
    given = {"tokens": 20, **{key: each for key, each in change.items() if key != "answer"}}
    last = row(small.key, "5", **given)
    if "answer" in change:
        last = last.model_copy(update={"answer": change["answer"]})
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan([BASE, free, small])
        for each in [*rows, last]:
            store.add(each)
        _, first, second = summarise(store, ("total",))
    assert (first.same_as, second.same_as) == (None, "none" if is_same else None)
    tests = 1 if is_same else 2
    assert first.equal[0].p_holm == pytest.approx(tests * first.equal[0].p)
    assert second.report()["same_as"] == second.same_as


def test_a_budget_that_left_a_problem_undone_is_not_the_same(tmp_path: Path) -> None:
    free, small = budgeted("none"), budgeted("small")
    rows = [row(free.key, "a"), row(free.key, "b"), row(small.key, "a")]
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan([free, small])
        for each in rows:
            store.add(each)
        assert [each.same_as for each in summarise(store)] == [None, None]


def ruled(name: str, rule: str, samples: int = 4) -> Cell:
    settings = {"use": "self_consistency", "samples": samples, "stop": {"use": rule}}
    return Cell(task="t", model="m", strategy=name, settings={"strategy": settings})


def test_what_a_rule_has_saved_is_told_beside_the_same_strategy_without_it(tmp_path: Path) -> None:
    early, full, more = ruled("early", "dominance"), ruled("full", "never"), ruled("x", "never", 9)
    rows = [row(early.key, each, tokens=30) for each in "abc"]
    rows += [row(full.key, each, tokens=40) for each in "bcd"]
    rows += [row(more.key, each, tokens=90) for each in "abc"]
    found = summaries(tmp_path, rows, [early, full, more])
    assert found["early"].saving == Saving("full", "none", 2, 60, 80)
    assert (found["full"].saving, found["x"].saving) == (None, None)
    alone = summaries(tmp_path / "alone", rows[:3] + rows[6:], [early, more])
    assert alone["early"].saving is None
