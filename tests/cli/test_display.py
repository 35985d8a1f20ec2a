"""What a person is told of how a run ended, and of what went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tts.cli.display import Display
from tts.executed import Executed, Step
from tts.problem import Exhausted, Solution
from tts.testing import candidate


def told(capsys: pytest.CaptureFixture[str], **fields: Any) -> list[str]:
    solution = Solution(answer="7", candidates=(candidate("7"),), **fields)
    Display("self_consistency on reference").finish(solution)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("kind", "spent", "limit", "line"),
    [
        ("usd", 0.00481, 0.005, "the budget of 0.005 usd (0.00481 spent) ended the work"),
        ("seconds", 60.0, 60, "the budget of 60 seconds (60 spent) ended the work"),
        ("interrupt", 0, 0, "the budget ended the work"),
    ],
)
def test_the_limit_that_ended_the_work_is_named(
    capsys: pytest.CaptureFixture[str], kind: str, spent: float, limit: float, line: str
) -> None:
    exhausted = Exhausted(kind=kind, spent=spent, limit=limit)
    lines = told(capsys, status="budget_exhausted", exhausted=exhausted)
    assert f"{line}: this is the best answer found until then" in lines


def test_a_budget_that_was_overspent_is_told_although_the_work_was_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = told(capsys, exhausted=Exhausted(kind="tokens", spent=1204, limit=1000))
    assert any("1000 tokens (1204 spent) was overspent" in line for line in lines)


def test_whose_calls_failed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, failed_calls=3, failed_by_role={"select": 1, "solve": 2})
    assert "left out: 3 failed calls (select 1, solve 2)" in lines


def test_what_the_strategy_measured_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, notes={"decisions": 60.0, "takeover_rate_0": 0.3912})
    assert "noted: decisions 60, takeover_rate_0 0.3912" in lines


def test_where_scores_choose_they_stand_beside_the_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scored = [("7", 0.25), ("7", 0.5), ("8", 0.75)]
    candidates = tuple(
        candidate(answer, ticket=place).model_copy(update={"score": score})
        for place, (answer, score) in enumerate(scored)
    )
    Display("best_of_n").finish(Solution(answer="8", candidates=candidates))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-3:] for line in lines[1:3]] == [
        ["best", "score", "0.5"],
        ["best", "score", "0.75"],
    ]


def test_failed_functions_and_reasons_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, failed_functions={"add": 1, "sub": 2}, reasons=("no function 'nope'",))
    assert "failed calls of functions: 3 (add 1, sub 2)" in lines
    assert "why: no function 'nope'" in lines


def test_one_planned_call_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    step = Step(id=1, state="succeeded", emitted=0.0)
    assert told(capsys, graph=Executed(steps=(step,)))[0].endswith(": 1 call planned")
