"""What the calls of a plan put on the clock of the run that they serve: tokens, and seconds."""

from __future__ import annotations

from tts.executed import Executed
from tts.ledger import Clock
from tts.spans import Span

__all__ = ["Branches"]


class Branches:
    """Lines of calls that lead away from a run's own, one for each call of a tool."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[Span, Clock]] = {}

    def add(self, number: int, line: Span) -> None:
        """Take in a line, which stands at its beginning, by the number of the tool's call."""
        self._lines[number] = (line, line.clock)

    def settle(self, executed: Executed) -> Clock:
        """Return the longest chain of what was asked since the last time, and forget it.

        Args:
            executed: Which call waited for which; all have come to their ends.
        """
        spent = {number: line.clock.since(began) for number, (line, began) in self._lines.items()}
        self._lines.clear()
        ends: dict[int, Clock] = {}
        for step in executed.steps if spent else ():
            own = spent.get(step.id if step.same_as is None else step.same_as, Clock())
            before = Clock().join(*(ends[one] for one in step.after))
            ends[step.id] = before.plus(own)
        return Clock().join(*ends.values())
