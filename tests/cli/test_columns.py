from __future__ import annotations

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.evals.sums import row
from tts.cli.bench_table import LiveTable
from tts.cli.columns import Columns
from tts.evals.progress import Progress
from tts.evals.records import Cell

HEADS = ("strategy", "n", "gain", "total", "failed")
LEAST = ("total", "gain", "failed")


def lines(columns: Columns, width: int) -> tuple[list[str], list[str]]:
    table, gone = columns.fit(width)
    console = Console(file=StringIO(), force_terminal=True, width=400, color_system=None)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()], gone


ROWS = st.lists(
    st.tuples(
        st.text("abc d", min_size=1, max_size=60),
        st.integers(1, 999).map(str),
        st.floats(0, 1e5).map("{:.1f}".format),
        st.integers(0, 10**7).map(str),
        st.sampled_from(["", "", "7"]),
    ),
    min_size=1,
    max_size=4,
)


@given(ROWS, st.integers(20, 120))
def test_no_line_is_wider_and_no_figure_is_cut(rows: list[tuple[str, ...]], width: int) -> None:
    told, gone = lines(Columns(HEADS, rows, ("strategy",), LEAST), width)
    assert max(map(len, told)) <= width
    text = "\n".join(told)
    for at, head in enumerate(HEADS[1:], 1):
        figures = [each[at] for each in rows if each[at]]
        if head in told[0]:
            assert all(figure in text for figure in figures)
        else:
            assert head in gone or not figures
    letters = [c for each in told[1:] for c in each if c in "abcd"]
    assert sorted(letters) == sorted(c for each in rows for c in each[0] if c in "abcd")


def test_what_is_needed_least_goes_first_and_what_is_empty_before_it() -> None:
    columns = Columns(HEADS, [("vote", "40", "+1.0", "1000", "")], ("strategy",), LEAST)
    assert lines(columns, 60) == (
        [
            "strategy     n    gain    total    failed",
            "vote        40    +1.0     1000",
        ],
        [],
    )
    assert lines(columns, 32) == (["strategy   n  gain  total", "vote      40  +1.0   1000"], [])
    assert lines(columns, 20) == (["strategy   n  gain", "vote      40  +1.0"], ["total"])


def live(width: int, *cells: Cell) -> list[str]:
    progress = Progress(cells, {cell.key: 4 for cell in cells}, clock=lambda: 1.0)
    for cell in cells:
        progress.add(cell, row(cell.key, "1", tokens=1234))
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(LiveTable(progress, console)._render())
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_live_table_keeps_whole_words_at_80_columns() -> None:
    task = "multiplication of three numbers"
    names = ("self consistency of sixteen", "best of sixteen by its own certainty")
    cells = [Cell(task=task, model="large", strategy=name) for name in names]
    told = live(80, *cells)
    assert told[0] == f"{task}, large"  # what all have in common is told once
    assert max(map(len, told)) <= 80
    assert not any("…" in line for line in told)
    for word in ("1 of 4", "100.0%", "1234", *names[0].split(), *names[1].split()):
        assert any(word in line for line in told)
    assert told[-2].startswith("2 of 8 solved")


def test_the_live_table_drops_costs_before_it_drops_who_is_meant() -> None:
    cells = [
        Cell(task=f"a task with a long name {at}", model=f"a large model {at}", strategy="vote")
        for at in (1, 2)
    ]
    heads = [line.split() for line in live(64, *cells)[:1]]
    assert heads == [["task", "model", "strategy", "solved", "accuracy"]]
    assert live(120, *cells)[0].split() == [*heads[0], "total", "critical", "failed"]
