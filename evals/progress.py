"""How far a bench has come: counts by strategy, cost so far, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tts.evals.records import Cell, Row

__all__ = ["Line", "Paid", "Progress"]


@dataclass(slots=True)
class Line:
    """A strategy on a task so far, all seeds together."""

    cell: Cell
    planned: int = 0
    done: int = 0
    judged: int = 0
    right: int = 0
    failed: int = 0
    """Runs that raised an error."""
    unjudged: int = 0
    """Answers that the checker could not judge."""
    total_tokens: int = 0
    critical_tokens: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.done += 1
        self.failed += row.status == "failed"
        self.unjudged += row.check_failure is not None
        self.judged += row.right is not None
        self.right += bool(row.right)
        self.total_tokens += row.costs.total_tokens
        self.critical_tokens += row.costs.critical_tokens


@dataclass(slots=True)
class Paid:
    """What was paid for rows: calls that were answered by kept ones cost nothing."""

    rows: int = 0
    tokens: int = 0
    usd: float | None = 0.0
    """None once a price was unknown."""

    def add(self, row: Row) -> None:
        """Count a row's own try."""
        cost, saved = row.usage.cost_usd, row.replayed_usd
        usd = None if cost is None or saved is None else max(0.0, cost - saved)
        self.rows += 1
        self._pay(row.usage.total_tokens - row.replayed_tokens, usd)

    def add_all(self, row: Row) -> None:
        """Count a row with the tries before it."""
        self.add(row)
        self._pay(row.earlier.paid.total_tokens, row.earlier.paid.cost_usd)

    def _pay(self, tokens: int, usd: float | None) -> None:
        self.tokens += tokens
        self.usd = None if self.usd is None or usd is None else self.usd + usd


@dataclass(slots=True)
class Progress:
    """Counts rows as they come.

    Args:
        cells: All cells, in their order.
        planned: Problems of each cell, by its key.
        clock: Seconds since whenever.

    Attributes:
        lines: One a task, model, strategy and budget.
        paid: What this command has paid for.
        before: What those before it had, in the same folder.
    """

    cells: Sequence[Cell]
    planned: Mapping[str, int]
    clock: Callable[[], float] = time.monotonic
    lines: list[Line] = field(init=False)
    paid: Paid = field(default_factory=Paid)
    before: Paid = field(default_factory=Paid)
    _by_cell: dict[str, Line] = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        places: dict[tuple[str, str, str, str], Line] = {}
        self._by_cell = {}
        for cell in self.cells:
            place = (cell.task, cell.model, cell.strategy, cell.budget)
            line = places.setdefault(place, Line(cell))
            line.planned += self.planned.get(cell.key, 0)
            self._by_cell[cell.key] = line
        self.lines = list(places.values())
        self._began = self.clock()

    def add(self, cell: Cell, row: Row, *, is_old: bool = False) -> None:
        """Count a row; old ones were there before and say nothing of the speed.

        An old one that is open is tried again: of it counts only what was paid for it.
        """
        if is_old:
            self.before.add_all(row)
            if row.is_open:
                return
        else:
            self.paid.add(row)
        line = self._by_cell[cell.key]
        line.add(row)
        line.planned = max(line.planned, line.done)  # an earlier run went further

    @property
    def done(self) -> int:
        """Solved problems, all strategies together."""
        return sum(line.done for line in self.lines)

    @property
    def total(self) -> int:
        """Problems to solve, all strategies together."""
        return sum(line.planned for line in self.lines)

    @property
    def unjudged(self) -> int:
        """Answers that the checker could not judge, all strategies together."""
        return sum(line.unjudged for line in self.lines)

    @property
    def elapsed(self) -> float:
        """Seconds since this command began."""
        return self.clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds until the end at the speed so far; None before the first row."""
        fresh = self.paid.rows
        return self.elapsed / fresh * (self.total - self.done) if fresh else None
