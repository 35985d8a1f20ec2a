"""What `tts bench` shows a person: a live table on a terminal, plain lines on a pipe, figures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from tts.cli.bench_remarks import marks, remarks
from tts.cli.columns import Columns
from tts.cli.told_apart import KINDS, label
from tts.cli.words import duration, plain
from tts.evals.figures import Comparison, Summary
from tts.evals.progress import Line, Progress
from tts.evals.records import Cell, Row
from tts.evals.statistics import Interval
from tts.evals.tries import Spent

__all__ = ["LiveTable", "print_summaries", "told_cost"]

_REFRESH_SECONDS: Final = 0.2
_WIDEST: Final = 1000
"""Columns that a table may take where no terminal is narrow."""


class LiveTable:
    """Follows a bench on standard error. Used as a context manager around it."""

    def __init__(self, progress: Progress, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._progress = progress
        # Refreshed by hand: a refresh thread would outlive a cancelled run.
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._shown, self._tenths = 0.0, 10 * progress.done // max(1, progress.total)

    def __enter__(self) -> LiveTable:
        if self.console.is_terminal:
            self._live.start()
            self._live.update(self._render(), refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the table away and give the terminal its cursor back."""
        self._live.stop()

    def add(self, cell: Cell, row: Row) -> None:
        """Show a row that is on the disk."""
        progress = self._progress
        progress.add(cell, row)
        if self.console.is_terminal:
            now = time.monotonic()
            if now - self._shown >= _REFRESH_SECONDS or progress.done == progress.total:
                self._shown = now
                self._live.update(self._render(), refresh=True)
            return
        tenths = 10 * progress.done // max(1, progress.total)
        if tenths > self._tenths:
            self._tenths = tenths
            self.console.print(Text(_state(progress)), soft_wrap=True)

    def _render(self) -> Group:
        progress = self._progress
        shown = max(4, self.console.height - 6)
        rows = [_live_row(line) for line in progress.lines]
        common = [at for at in range(len(_PLACES)) if len({row[at] for row in rows}) == 1]
        title = [Text(", ".join(rows[0][at] for at in common), style="bold")] if common else []
        columns = Columns(
            [head for at, head in enumerate(_LIVE) if at not in common],
            [[text for at, text in enumerate(row) if at not in common] for row in rows[:shown]],
            [*_PLACES, "strategy"],
            [*_COSTS, *_PLACES, "failed"],
        )
        table, _ = columns.fit(self.console.width)
        more = [Text(f"and {len(rows) - shown} more")] if len(rows) > shown else []
        bar = ProgressBar(total=max(1, progress.total), completed=progress.done, width=40)
        return Group(*title, table, *more, Text(_state(progress)), bar)


_PLACES: Final = ("task", "model")
_COSTS: Final = ("critical", "total")
_LIVE: Final = (*_PLACES, "strategy", "solved", "accuracy", "total", "critical", "failed")


def _live_row(line: Line) -> list[str]:
    cell, done = line.cell, max(1, line.done)
    return [
        plain(cell.task),
        plain(cell.model),
        label(cell.strategy, cell.budget),
        f"{line.done} of {line.planned}",
        f"{line.right / line.judged:.1%}" if line.judged else "",
        f"{line.total_tokens / done:.0f}" if line.done else "",
        f"{line.critical_tokens / done:.0f}" if line.done else "",
        str(line.failed or ""),
    ]


def _state(progress: Progress) -> str:
    """Return how far it is, in one line."""
    left = "" if progress.left is None else f", about {duration(progress.left)} left"
    before = progress.before
    kept = f"; {told_cost(before)} before it was resumed" if before.calls else ""
    return (
        f"{progress.done} of {progress.total} solved, {duration(progress.elapsed)}{left}; "
        f"{told_cost(progress.paid)}{kept}"
    )


def told_cost(paid: Spent) -> str:
    """Say how many tokens and dollars that is."""
    cost = "price unknown" if paid.cost_usd is None else f"${paid.cost_usd:.4g}"
    return f"{paid.total_tokens:,} tokens, {cost}"


def print_summaries(summaries: Sequence[Summary], console: Console | None = None) -> None:
    """Print the figures of a bench, a table a task and model.

    A narrow terminal gets fewer columns, and is told which are left out; whatever reads a pipe or a
    file gets all of them.
    """
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDEST)
    for (task, model), group in groupby(summaries, lambda each: (each.task, each.model)):
        own = list(group)
        console.print(Text(f"\n{plain(task)} on {plain(model)}", style="bold"))
        _print(console, _figures(own))
        for kind in dict.fromkeys(one.kind for each in own for one in each.equal):
            console.print(Text(f"\nagainst plain votes at equal {KINDS[kind]}", style="bold"))
            _print(console, _comparisons(own, kind))
    for line in remarks(summaries):
        console.print(Text(line), soft_wrap=not console.is_terminal)


def _print(console: Console, columns: Columns) -> None:
    table, gone = columns.fit(console.width)
    console.print(table)
    if gone:
        told = f"{', '.join(gone)}; {columns.width} columns, a pipe or tts report show them"
        console.print(Text(f"(left out at this width: {told})", style="dim"))


def _figures(summaries: Iterable[Summary]) -> Columns:
    own = list(summaries)
    worst = ["at worst"] if any(each.failed or each.check_failures for each in own) else []
    heads = ("any right", "calls", "total", "critical", "s", "$", "failed", "unjudged", "unread")
    rows = [
        [
            label(each.strategy, each.budget),
            str(each.n),
            "" if each.accuracy is None else _percent(each.accuracy),
            *["" if each.at_worst is None else f"{100 * each.at_worst:.1f}" for _ in worst],
            "" if each.oracle is None else f"{100 * each.oracle:.1f}",
            _number(each.means["calls"], 1),
            _number(each.means["total_tokens"]),
            _number(each.means["critical_tokens"]),
            _number(each.means["critical_seconds"], 2),
            _dollars(each.means["cost_usd"], ran=each.means["calls"] is not None),
            str(each.failed or ""),
            str(each.check_failures or ""),
            str(each.parse_failures or ""),
        ]
        for each in own
    ]
    least = ("s", "unread", "calls", "any right", "$", "critical", "unjudged", "failed", *worst)
    return Columns(("strategy", "n", "accuracy [95%]", *worst, *heads), rows, ("strategy",), least)


def _comparisons(summaries: Iterable[Summary], kind: str) -> Columns:
    rows = [
        [
            label(each.strategy, each.budget),
            f"{one.samples:.1f}",
            _percent(one.baseline),
            _gain(one),
            f"{one.better}:{one.worse}",
            f"{one.p:.3f}",
            f"{one.p_holm:.3f}",
            marks(one),
        ]
        for each in summaries
        for one in each.equal
        if one.kind == kind
    ]
    heads = ["strategy", "samples", "votes [95%]", "gain [95%]", *_TESTED, _MARKS]
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return Columns(heads, rows, ("strategy", _MARKS), ("votes [95%]", "p", "samples", _MARKS))


_TESTED: Final = ("better:worse", "p", "p (Holm)")
_MARKS: Final = "marks"


def _percent(each: Interval) -> str:
    return f"{100 * each.mean:.1f} [{100 * each.low:.1f}, {100 * each.high:.1f}]"


def _gain(one: Comparison) -> str:
    gain = one.gain
    mean = round(100 * gain.mean, 1) + 0.0  # no minus before a gain of nothing
    return f"{mean:+.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"


def _dollars(usd: float | None, *, ran: bool) -> str:
    if usd is None:
        return "?" if ran else ""  # nothing has run, or its price is unknown
    return f"{usd:.4g}"


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}f}"
