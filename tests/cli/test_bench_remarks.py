from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sums import row
from tts.cli.bench_remarks import marks, remarks
from tts.evals.comparing import FREE, UNPRICED
from tts.evals.figures import Comparison, Saving, Summary
from tts.evals.records import Cell, Row
from tts.evals.statistics import Interval
from tts.evals.store import RunStore
from tts.evals.summary import summarise

BASE = Cell(task="t", model="m", strategy="baseline", is_baseline=True)
MINE = Cell(task="t", model="m", strategy="mine")
WRONG = (("2", False), ("3", False))


def told(folder: Path, *rows: Row) -> str:
    with RunStore(folder / "run.sqlite") as store:
        store.plan([BASE, MINE])
        for each in rows:
            store.add(each)
        return "\n".join(remarks(summarise(store, ("total",))))


def test_what_the_tests_tell_apart_comes_first(tmp_path: Path) -> None:
    names = [str(number) for number in range(12)]
    pools = [row(BASE.key, each, False, draws=WRONG, tokens=20) for each in names]
    mine = [row(MINE.key, each, tokens=20) for each in names]
    first = told(tmp_path, *pools, *mine).strip().splitlines()[0]
    assert first == (
        "told apart from plain votes (p (Holm) < 0.05), t on m: "
        "mine is better at equal total tokens."
    )


def test_pairs_without_a_verdict_are_told(tmp_path: Path) -> None:
    pool = row(BASE.key, "a", False, draws=WRONG, tokens=20)
    text = told(tmp_path, pool, row(MINE.key, "a", None, check_failure="x", tokens=20))
    assert "pairs with an answer that could not be judged: up to 1 in a comparison" in text
    assert "nothing is told apart from plain votes here" in text


def summary(strategy: str = "mine", budget: str = "none", **settings: Any) -> Summary:
    """Return a summary of 20 runs, all judged."""
    given: dict[str, Any] = {
        "task": "t", "model": "m", "strategy": strategy, "budget": budget, "is_baseline": False,
        "seeds": 1, "problems": 20, "n": 20, "accuracy": None, "at_worst": None, "oracle": None,
        "means": dict.fromkeys(("calls", "critical_seconds")), "wall_seconds": None, "timed": 20,
        "failed": 0, "check_failures": 0, "unjudged_draws": 0, "parse_failures": 0,
        "failed_calls": 0, "exhausted": 0, "stopped": {},
    }  # fmt: skip
    return Summary(**given | settings)


def compared(gain: float = 0.1, better: int = 4, worse: int = 2, **settings: Any) -> Comparison:
    given: dict[str, Any] = {
        "kind": "total", "pairs": 20, "problems": 20, "left_out": 0, "failed": 0, "unjudged": 0,
        "samples": 2.0, "note": "", "baseline": Interval(0.5, 0.4, 0.6),
        "gain": Interval(gain, gain - 0.1, gain), "difference": (better - worse) / 20,
        "better": better, "worse": worse, "p": 0.5, "p_holm": 0.5, "detectable": 0.3,
    }  # fmt: skip
    return Comparison(**given | settings)


@pytest.mark.parametrize(
    ("gain", "difference", "is_marked"),
    [
        (0.1, -0.1, True),
        (-0.1, 0.1, True),
        (0.1, 0.1, False),
        (0.1, 0.0, False),
        (0.0004, -0.1, False),
    ],  # printed as 0.0
)
def test_a_gain_and_a_tested_difference_that_point_apart_are_marked(
    gain: float, difference: float, is_marked: bool
) -> None:
    one = compared(gain, difference=difference)
    assert marks(one) == "signs differ" * is_marked
    told = remarks([summary(equal=(one,))])
    assert any(line.startswith("signs differ: better on average") for line in told) is is_marked


def test_a_small_p_against_the_gain_tells_nothing_apart() -> None:
    apart = compared(0.1, difference=-0.1, p_holm=0.01)
    assert (
        "nothing is told apart from plain votes here: no p (Holm) is below 0.05 where gain and p "
        "agree."
    ) in remarks([summary(equal=(apart,))])


def test_more_wins_than_losses_are_no_direction() -> None:
    one = compared(-0.2, better=6, worse=4, difference=-0.2, p_holm=0.01)
    told = remarks([summary(equal=(one,))])
    assert (
        "told apart from plain votes (p (Holm) < 0.05), t on m: mine is worse at equal total "
        "tokens."
    ) in told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"note": "capped", "off": 9.0, "samples": 16.0, "difference": 0.2},
            "beats all 16 samples, at 10 times their total tokens",
        ),
        (
            {"note": "capped", "off": 0.5, "samples": 16.0, "difference": -0.2, "kind": "usd"},
            "loses to all 16 samples, at 1.5 times their dollars",
        ),
        (
            {"note": "dearer", "off": -0.9, "samples": 1.0, "difference": 0.2},
            "beats one sample, at 0.1 times its total tokens",
        ),
    ],
)
def test_a_result_at_another_cost_is_told_with_that_cost(given: dict[str, Any], words: str) -> None:
    one = compared(given["difference"], p_holm=0.01, **given)
    told = remarks([summary(equal=(one,))])
    assert told[1:3] == [
        "nothing is told apart from plain votes at equal cost here: no p (Holm) is below 0.05 "
        "there.",
        f"told apart at another cost (p (Holm) < 0.05), t on m: mine {words}.",
    ]
    both = remarks([summary(equal=(one,)), summary("other", equal=(compared(p_holm=0.01),))])
    assert both[1:3] == [
        "told apart from plain votes (p (Holm) < 0.05), t on m: other is better at equal total "
        "tokens.",
        f"told apart at another cost (p (Holm) < 0.05), t on m: mine {words}.",
    ]


def test_what_can_be_seen_is_told_for_all_comparisons() -> None:
    one, two = (summary(name, equal=(compared(),)) for name in "ab")
    shown = "20 problems show true gains of 30 points or more with a chance of 80% in p (Holm)"
    assert f"1 gain's interval holds 0, which is no proof of equality: {shown}." in remarks([one])
    assert any(f"{shown}, if nothing else differs." in line for line in remarks([one, two]))


def test_costs_that_are_not_equal_are_told_with_their_difference() -> None:
    assert marks(compared(note="capped", off=1.5)) == "capped +150%"
    assert marks(compared(note="dearer", off=-0.032)) == "dearer -3.2%"
    assert marks(compared(off=-0.004)) == ""
    told = remarks([summary(equal=(compared(off=-0.004), compared()))])
    assert "costs that differ by up to 0.5% count as equal: here by up to 0.40%." in told
    assert not any("count as equal" in line for line in remarks([summary(equal=(compared(),))]))


def test_the_same_rows_under_another_budget_are_compared_once() -> None:
    twice = [
        summary(equal=(compared(),)),
        summary(budget="4k", equal=(compared(),), same_as="none"),
    ]
    told = remarks(twice)
    assert (
        "budget 4k changed nothing on t on m for mine: answers, verdicts and costs are those "
        "without a budget on every problem; their comparisons count once."
    ) in told
    assert any(line.startswith("1 comparison: ") for line in told)


def test_what_a_stopping_rule_has_saved_is_told() -> None:
    saving = Saving("full", "none", 20, 600, 1000)
    assert (
        "tokens that stopping rules have saved of full (50 a run) on t on m: mine 40%, other 40%."
    ) in remarks([summary(saving=saving), summary("other", saving=saving)])
    assert not any("stopping rules" in line for line in remarks([summary()]))


def test_what_a_stopping_rule_has_cost_more_is_told_as_that() -> None:
    dear = summary("dear", saving=Saving("full", "none", 20, 1400, 1000))
    assert (
        "stopping rules have saved nothing of full (50 a run) on t on m: dear has cost 40% more."
    ) in remarks([dear])
    some = summary(saving=Saving("full", "none", 19, 500, 1007))
    same = summary("same", saving=Saving("full", "none", 20, 1001, 1000))
    told = [line for line in remarks([dear, some, same]) if "stopping rules" in line]
    assert told == [
        "tokens that stopping rules have saved of full (50 to 53 a run) on t on m: mine 50%, "
        "same 0%; dear has cost 40% more."
    ]


def test_a_long_error_is_cut_and_other_errors_are_counted() -> None:
    long = summary(failed=3, why_failed="x" * 3000, failed_otherwise=1)
    (line,) = [line for line in remarks([long]) if line.startswith("failed: ")]
    assert line == (
        f"failed: 3 of mine on t on m, most often: {'x' * 200}... (2800 more characters, in "
        "--json); 1 with other messages"
    )
    many = remarks([replace(long, strategy=str(n)) for n in range(7)])
    assert len([line for line in many if line.startswith("failed: ")]) == 5
    assert "failed, too: runs of 2 more entries, as why_failed of --json tells" in many


def test_the_most_common_error_is_told_with_the_number_of_others(tmp_path: Path) -> None:
    failed = [
        row(MINE.key, str(n), None, status="failed", error=error)
        for n, error in enumerate(("a", "b", "b", "c"))
    ]
    assert ("failed: 4 of mine on t on m, most often: b; 2 with other messages") in told(
        tmp_path, *failed
    )


@pytest.mark.parametrize(
    ("why", "is_advised"),
    [
        (f"{UNPRICED} in 1 of 2 runs of both sides", True),
        (FREE, True),
        ("all runs of the strategy failed", False),
        ("no pool of samples is whole: 10 of 10 failed or lost calls", False),
    ],
)
def test_prices_are_advised_only_where_they_are_the_matter(why: str, is_advised: bool) -> None:
    (line,) = [line for line in remarks([summary(unequal={"usd": why})]) if "equal dollars" in line]
    assert line.startswith(f"no comparison at equal dollars for mine: {why}")
    assert ("give each model its price" in line) is is_advised
    assert "price" not in remarks([summary(unequal={"total": FREE})])[-1]


def test_several_seeds_are_told() -> None:
    several = remarks([summary(seeds=3), summary("other")])
    assert "n: runs, of each problem one for each of 3 seeds." in several
    assert not any(line.startswith("n: runs") for line in remarks([summary(equal=(compared(),))]))


def test_budgets_that_ended_runs_are_told_and_no_others() -> None:
    told = remarks([
        summary(exhausted=2), summary(budget="4k", exhausted=3),
        summary("other", budget="4k"), summary(budget="9k"),
    ])  # fmt: skip
    assert [line for line in told if line.startswith("budget ")] == [
        "budget 4k ended 3 of 40 runs."
    ]


@pytest.mark.parametrize(
    ("kinds", "is_fairer"), [(["critical"], False), (["total"], True), (["critical", "usd"], True)]
)
def test_a_larger_baseline_is_advised_where_it_is_fairer(kinds: list[str], is_fairer: bool) -> None:
    """At critical tokens nearly all samples fit in the time of one: more of them change little."""
    capped = tuple(compared(kind=kind, note="capped", off=1.0, samples=16.0) for kind in kinds)
    (line,) = [each for each in remarks([summary(equal=capped)]) if each.startswith("capped: ")]
    assert ("a larger baseline" in line) is is_fairer


def test_what_runs_failed_of_is_told() -> None:
    told = remarks([summary(failed=3, why_failed="the server\nis down"), summary("other")])
    (line,) = [line for line in told if line.startswith("failed: ")]
    assert line == "failed: 3 of mine on t on m, most often: the server is down"


def test_runs_that_are_not_equally_many_are_told() -> None:
    told = remarks(
        [summary("x", n=39, failed=1), summary("w", n=40), summary("y"), summary("z", task="other")]
    )
    assert any(
        line.startswith("runs differ on t on m: 40 of x, w; 20 of y. Accuracies") for line in told
    )
    same = remarks([summary("x", n=19, check_failures=1), summary("y")])
    assert not any("runs differ" in line for line in same)
