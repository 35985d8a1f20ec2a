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


class Purse:
    def __init__(self, *spent: Spent) -> None:
        self.total = Spent.sum(spent)

    def __call__(self) -> Spent:
        return self.total

    def pay(self, tokens: int, usd: float | None = 0.0) -> None:
        self.total = self.total.plus(Spent(calls=1, prompt_tokens=tokens, cost_usd=usd))


def progress(clock: Clock, planned: int = 3, purse: Purse | None = None) -> Progress:
    return Progress(CELLS, {cell.key: planned for cell in CELLS}, purse or Purse(), clock)


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


def test_what_this_command_has_paid_is_told_apart_from_what_was_paid_before() -> None:
    purse = Purse(Spent(calls=1, prompt_tokens=10, cost_usd=1e-5))
    found = progress(Clock(), purse=purse)
    purse.pay(20, 2e-5)  # for a problem that has no row yet
    assert (found.before.total_tokens, found.paid.total_tokens) == (10, 20)
    assert found.paid.cost_usd == pytest.approx(2e-5)
    told = "0 of 12 solved, 0 s; 20 tokens, $2e-05; 10 tokens, $1e-05 before it was resumed"
    assert _state(found) == told
    purse.pay(1, None)
    assert found.paid.cost_usd is None
    assert "21 tokens, price unknown" in _state(found)


def test_open_problems_that_were_there_are_not_done() -> None:
    found = progress(Clock())
    failed = row(CELLS[0].key, "1", None, status="failed", error="x")
    found.add(CELLS[0], failed, is_old=True)
    assert (found.done, found.lines[0].failed) == (0, 0)
    earlier = Earlier(tries=2, paid=Spent(prompt_tokens=17), lost=Spent(prompt_tokens=15))
    found.add(CELLS[0], row(CELLS[0].key, "1", tokens=12, earlier=earlier))
    assert (found.done, found.lines[0].total_tokens) == (1, 12 + 15)


def test_failures_are_counted_and_unjudged_answers_are_not() -> None:
    found = progress(Clock())
    found.add(CELLS[0], row(CELLS[0].key, "1", None, status="failed", error="x"))
    found.add(CELLS[0], row(CELLS[0].key, "2", None, check_failure="x"))
    assert (found.lines[0].failed, found.lines[0].judged) == (1, 0)


def test_what_goes_beyond_the_plan_is_part_of_the_total_and_stands_for_no_other() -> None:
    found = progress(Clock(), planned=1)
    for name in "123":
        found.add(CELLS[0], row(CELLS[0].key, name), is_old=True)
    assert (found.lines[0].done, found.lines[0].planned) == (3, 4)  # the other seed's is missing


def lines(*, is_terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=120, height=30)
    purse = Purse()
    found = progress(Clock(), 5, purse)
    with LiveTable(found, console) as table:
        for cell in CELLS:
            for name in "12345":
                purse.pay(10)
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
