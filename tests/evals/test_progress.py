from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.evals.sums import row
from tts.cli.bench_table import LiveTable, _state
from tts.evals.progress import Progress
from tts.evals.records import Cell
from tts.evals.tries import Earlier, Spent

CELLS = [Cell(task="t", model="m", strategy=name, seed=seed) for name in "ab" for seed in (0, 1)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(clock: Clock, planned: int = 3) -> Progress:
    return Progress(CELLS, {cell.key: planned for cell in CELLS}, clock)


def test_seeds_are_one_line_and_the_rest_takes_as_long_as_what_was_done() -> None:
    clock = Clock()
    found = progress(clock)
    assert (found.total, found.done, found.left) == (12, 0, None)
    found.add(CELLS[0], row(CELLS[0].key, "old"), is_old=True)
    assert found.left is None  # what was there before says nothing of the speed
    clock.now = 4.0
    found.add(CELLS[0], row(CELLS[0].key, "1"))
    found.add(CELLS[1], row(CELLS[1].key, "1", False))
    assert found.left == pytest.approx(4.0 / 2 * 9)
    first, second = found.lines
    assert (first.done, first.planned, first.right, first.judged) == (3, 6, 2, 3)
    assert (second.done, second.planned) == (0, 6)
    assert (found.before.tokens, found.paid.tokens) == (10, 20)
    assert found.before.usd == pytest.approx(1e-5)
    assert found.paid.usd == pytest.approx(2e-5)
    assert _state(found) == (
        "3 of 12 solved, 4 s, about 18 s left; 20 tokens, $2e-05; "
        "10 tokens, $1e-05 before it was resumed"
    )


def test_calls_that_others_had_made_were_not_paid_again() -> None:
    found = progress(Clock())
    one = row(CELLS[0].key, "1", tokens=30, replayed_tokens=25, replayed_usd=25e-6)
    found.add(CELLS[0], one)
    assert found.paid.tokens == 5
    assert found.paid.usd == pytest.approx(5e-6)
    assert found.lines[0].total_tokens == 30  # what the strategy costs is the same as ever


def test_what_open_problems_have_paid_is_told_and_they_are_not_done() -> None:
    found = progress(Clock())
    nothing = Earlier(tries=1, paid=Spent(prompt_tokens=7), lost=Spent(prompt_tokens=5))
    failed = row(CELLS[0].key, "1", None, status="failed", error="x", earlier=nothing)
    found.add(CELLS[0], failed, is_old=True)
    assert (found.done, found.lines[0].failed, found.before.tokens) == (0, 0, 10 + 7)
    paid = Earlier(tries=2, paid=Spent(prompt_tokens=17), lost=Spent(prompt_tokens=15))
    last = row(CELLS[0].key, "1", tokens=12, replayed_tokens=2, earlier=paid)
    found.add(CELLS[0], last)
    assert (found.done, found.paid.tokens, found.before.tokens) == (1, 10, 17)
    assert found.lines[0].total_tokens == 12 + 15
    again = progress(Clock())
    again.add(CELLS[0], last, is_old=True)
    assert again.before.tokens == found.before.tokens + found.paid.tokens


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    found = progress(Clock())
    one = row(CELLS[0].key, "1")
    usage = one.usage.model_copy(update={"cost_usd": None})
    found.add(CELLS[0], one.model_copy(update={"usage": usage}))
    found.add(CELLS[0], row(CELLS[0].key, "2"))
    assert found.paid.usd is None
    assert found.before.usd == 0.0


def test_failures_are_counted_and_unjudged_answers_are_not() -> None:
    found = progress(Clock())
    found.add(CELLS[0], row(CELLS[0].key, "1", None, status="failed", error="x"))
    found.add(CELLS[0], row(CELLS[0].key, "2", None, check_failure="x"))
    assert (found.lines[0].failed, found.lines[0].judged) == (1, 0)


def test_what_goes_beyond_the_plan_is_part_of_the_total() -> None:
    found = progress(Clock(), planned=0)
    found.add(CELLS[0], row(CELLS[0].key, "1"), is_old=True)
    assert (found.done, found.total) == (1, 1)


def lines(*, is_terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=120, height=30)
    found = progress(Clock(), planned=5)
    with LiveTable(found, console) as table:
        for cell in CELLS:
            for name in "12345":
                table.add(cell, row(cell.key, name))
    return out.getvalue()


def test_a_pipe_gets_a_line_a_tenth() -> None:
    told = lines(is_terminal=False).splitlines()
    assert len(told) == 10
    assert told[-1].startswith("20 of 20 solved, 0 s")
    assert "200 tokens, $" in told[-1]


def test_a_terminal_gets_a_table_that_grows() -> None:
    told = lines(is_terminal=True)
    assert "10 of 10" in told
    assert "100.0%" in told
    assert "20 of 20 solved" in told
