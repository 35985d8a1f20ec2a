"""How far a bench has come: counts by strategy, cost so far, and the time that is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tts.evals.records import Cell, Row
from tts.evals.tries import Spent

__all__ = ["Line", "Progress"]


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
class Progress:
    """Counts rows as they come.

    Args:
        cells: All cells, in their order.
        planned: Problems of each cell, by its key.
        total_paid: Returns what all calls of the folder have cost so far.
        clock: Seconds since whenever.

    Attributes:
        lines: One a task, model, strategy and budget.
        before: What was paid before this command, in the same folder.
    """

    cells: Sequence[Cell]
    planned: Mapping[str, int]
    total_paid: Callable[[], Spent] = Spent
    clock: Callable[[], float] = time.monotonic
    lines: list[Line] = field(init=False)
    before: Spent = field(init=False)
    _by_cell: dict[str, Line] = field(init=False)
    _done: Counter[str] = field(init=False, default_factory=Counter)
    _fresh: int = field(init=False, default=0)
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
        self._began, self.before = self.clock(), self.total_paid()

    def add(self, cell: Cell, row: Row, *, is_old: bool = False) -> None:
        """Count a row; old ones were there before and say nothing of the speed.

        An old one that is open is tried again, and does not count.
        """
        if is_old and row.is_open:
            return
        self._fresh += not is_old
        line = self._by_cell[cell.key]
        line.add(row)
        self._done[cell.key] += 1
        line.planned += self._done[cell.key] > self.planned.get(cell.key, 0)  # an earlier run's

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
    def paid(self) -> Spent:
        """What this command has paid for: calls that were answered by kept ones cost nothing."""
        return self.total_paid().less(self.before)

    @property
    def elapsed(self) -> float:
        """Seconds since this command began."""
        return self.clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds until the end at the speed so far; None before the first row."""
        fresh = self._fresh
        return self.elapsed / fresh * (self.total - self.done) if fresh else None
