"""What the calls of a plan put on the clock of the run that they serve: tokens, and seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from tts.executed import Executed
from tts.ledger import Clock
from tts.spans import Span

__all__ = ["Branches"]


@dataclass(slots=True)
class _Line:
    span: Span
    began: Clock
    start: float
    """Seconds on the run's clock when the call was read in the plan."""

    @property
    def spent(self) -> Clock:
        return self.span.clock.since(self.began)


class Branches:
    """Lines of calls that lead away from a run's own, one for each call of a tool.

    In tokens, what tools asked stands on the clock as if it had begun when the plan was there. In
    seconds, each call begins when it was read, which may be while the plan is still written.

    Args:
        clock: Tells the run's own.
    """

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._lines: dict[int, _Line] = {}
        self._before, self._opened = Clock(), 0.0

    @contextmanager
    def planned(self) -> Iterator[None]:
        """Read a plan in the block, and add its calls.

        A plan that was kept from an earlier call is there at once: its calls begin as much later
        as it took when it was made.
        """
        known = set(self._lines)
        self._before, self._opened = self._clock(), anyio.current_time()
        try:
            yield
        finally:
            took = self._clock().since(self._before).seconds
            late = max(0.0, took - (anyio.current_time() - self._opened))
            for number in self._lines.keys() - known:
                self._lines[number].start += late

    def add(self, number: int, span: Span) -> None:
        """Take in a line, which stands at its beginning, by the number of the tool's call."""
        start = self._before.seconds + anyio.current_time() - self._opened
        self._lines[number] = _Line(span, span.clock, start)

    def settle(self, executed: Executed) -> Clock:
        """Return the run's clock after all that was asked since the last time, and forget it.

        Args:
            executed: Which call waited for which; all have come to their ends.
        """
        now = self._clock()
        lines, self._lines = self._lines, {}
        ends: dict[int, Clock] = {}
        for step in executed.steps if lines else ():
            asked = lines.get(step.id if step.same_as is None else step.same_as)
            spent = Clock() if asked is None else asked.spent
            line = lines.get(step.id)
            start = Clock() if line is None else now._replace(seconds=line.start)
            before = start.join(*(ends[one] for one in step.after))
            ends[step.id] = before.plus(spent)
            if step.same_as in ends:  # who shares a call waits for its end, from wherever
                shared = max(before.seconds, ends[step.same_as].seconds)
                ends[step.id] = ends[step.id]._replace(seconds=shared)
        return now.join(*ends.values())
