from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evals.sums import row
from tts.cli.bench_remarks import marks, remarks
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
