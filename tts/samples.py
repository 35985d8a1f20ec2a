"""The scope of `run.sample`: candidates in ticket order, as few in flight as the rule allows."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import anyio
from anyio.abc import TaskGroup

from tts.backends.base import Capabilities
from tts.errors import BackendError, BudgetExceeded, ConfigError, NoQuorum
from tts.ledger import Clock
from tts.problem import Candidate, StoppedBy
from tts.stopping import Never, StoppingRule
from tts.votes import Tally

__all__ = ["Draw", "Draws", "Plan", "Samples"]

_MOST_ALTERNATIVES = 20


@dataclass(frozen=True, slots=True)
class Draw:
    """What became of one ticket."""

    ticket: int
    clock: Clock
    result: Candidate | BackendError | BudgetExceeded


class Draws(NamedTuple):
    """Draws that are made in one go, by one task."""

    tickets: range
    make: Callable[[], Awaitable[Sequence[Draw]]]
    """Makes a draw of each ticket."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a sample is drawn.

    Attributes:
        n: Most candidates; at least 1.
        stop: The rule that watches `votes`.
        votes: The strategy's tally; it adds each candidate before it asks for the next.
        order: `ticket` (submission order) or `completion`. Stopping on completion order favours
            short answers and voids every guarantee.
        speculate: Calls in flight beyond what the rule allows: faster, and paid for in vain when
            the rule stops.
        quorum: Candidates without which the sample has failed.
    """

    n: int
    stop: StoppingRule = Never.model_construct()  # noqa: RUF009  # frozen
    votes: Tally | None = None
    order: Literal["ticket", "completion"] = "ticket"
    speculate: int = 0
    quorum: int = 1

    @classmethod
    def checked(
        cls,
        n: int,
        stop: StoppingRule | None,
        votes: Tally | None,
        *,
        order: Literal["ticket", "completion"],
        speculate: int,
        quorum: int,
    ) -> Plan:
        """Return the plan that these arguments make.

        Raises:
            ConfigError: If they make none.
        """
        if n < 1 or speculate < 0:
            raise ConfigError(f"sample needs n >= 1 and speculate >= 0, got {n} and {speculate}")
        if stop is not None and votes is None:
            raise ConfigError(f"stop={stop.name!r} needs the tally it shall watch: give votes=")
        if votes is not None and votes.vote.is_collective:
            stop = None  # what is counted when all are there cannot stop sooner
        if stop is not None and stop.needs_iid and order == "completion":
            raise ConfigError(
                f"rule {stop.name!r} judges draws in ticket order, and in order of completion "
                "short answers come first: drop order='completion', or set assume_iid: true"
            )
        return cls(n, stop or Never(), votes, order, speculate, quorum)

    def reading(self, capabilities: Capabilities) -> dict[str, Any]:
        """Return the options of calls whose candidates vote and rule shall read."""
        options = self.votes.vote.reading(capabilities) if self.votes else {}
        if "logprobs" in self.stop.needs:
            options["logprobs"] = True
        if "top_logprobs" in self.stop.needs:
            options["top_logprobs"] = min(_MOST_ALTERNATIVES, capabilities.top_logprobs)
        return options


class Samples:
    """An iterator over candidates; failed draws are left out and counted.

    It ends when all n tickets are consumed, the rule stops, or the budget is spent. Draws that
    were finished when the budget ended are still yielded.

    Raises:
        BackendError: On the way out, if every draw failed: the first error.
        NoQuorum: If some survived, but fewer than `quorum`.
    """

    def __init__(
        self,
        plan: Plan,
        tasks: TaskGroup,
        draw: Callable[[range], Iterable[Draws]],
        consumed: Callable[[Draw], None],
        report: Callable[[Plan], None],
        *,
        workers: int,
    ) -> None:
        self.plan = plan
        self.stopped_by: StoppedBy | None = None
        self.cut: list[Candidate] = []
        """With `keep_cut`, once the scope is left: the unfinished draws that it cancelled, and
        whole ones that were finished and not consumed."""
        self._tasks, self._draw, self._on_consumed = tasks, draw, consumed
        self._report, self._workers = report, workers
        self._pending: deque[Draws] = deque()
        self._working = 0
        self._finished: dict[int, Draw] = {}
        self._arrival = anyio.Event()
        self._launched = 0
        self.consumed = 0
        """Tickets that were consumed, failed ones included."""
        self._survivors: list[Candidate] = []
        self._errors: list[BackendError] = []
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[Candidate]:
        return self

    async def __anext__(self) -> Candidate:
        if self._survivors:
            self._report(self.plan)
        while self._launch():
            draw = await self._next()
            self.consumed += 1
            self._on_consumed(draw)
            if isinstance(draw.result, Candidate):
                self._survivors.append(draw.result)
                return draw.result
            if isinstance(draw.result, BackendError):
                self._errors.append(draw.result)
            else:
                self._is_closed = True
                self._drop_pending()
        needed = 1 if self._is_closed else self.plan.quorum  # a spent budget asks for no quorum
        if self._errors and not self._survivors:
            raise self._errors[0]
        if self._errors and len(self._survivors) < needed:
            raise NoQuorum(self._survivors, needed) from self._errors[0]
        raise StopAsyncIteration

    @property
    def in_flight(self) -> int:
        """Tickets that are launched and not yet consumed."""
        return self._launched - self.consumed

    @property
    def unconsumed(self) -> list[Draw]:
        """Draws that are finished and not consumed."""
        return list(self._finished.values())

    @property
    def _remaining(self) -> int:
        return self.plan.n - self.consumed

    def _judge(self) -> None:
        votes = self.plan.votes
        if len(self._survivors) < self.plan.quorum:
            return  # what has no quorum yet decides nothing
        if votes is not None and self._survivors and self._remaining and not self._is_closed:
            self.stopped_by = self.plan.stop.verdict(votes, self._remaining).stopped_by

    def _launch(self) -> bool:
        """Start what the rule allows; return whether a draw is under way."""
        self._judge()
        if self.stopped_by is not None:
            return False
        if not self._is_closed and self._remaining:
            votes = self.plan.votes or Tally()
            wanted = self.plan.stop.earliest(votes, self._remaining) + self.plan.speculate
            wanted = max(wanted, self.plan.quorum - len(self._survivors))
            fresh = min(wanted, self._remaining) - self.in_flight
            if fresh > 0:
                self._pending += self._draw(range(self._launched, self._launched + fresh))
                self._launched += fresh
            while self._working < min(self._workers, len(self._pending) + self._working):
                self._working += 1
                self._tasks.start_soon(self._work, self._pending.popleft())
        return self.in_flight > 0

    async def _work(self, draws: Draws) -> None:
        """Make a draw, and then those that wait: a task a ticket would be too many for large n."""
        while True:
            for draw in await draws.make():
                self._finished[draw.ticket] = draw
            self._arrival.set()
            if not self._pending:
                break
            draws = self._pending.popleft()
        self._working -= 1

    def _drop_pending(self) -> None:
        """Forget the draws that have not begun: the budget would refuse them all."""
        self._launched -= sum(len(draws.tickets) for draws in self._pending)
        self._pending.clear()

    async def _next(self) -> Draw:
        """Wait for the next draw: of the next ticket, or of whichever finishes first."""
        while True:
            if self.plan.order == "ticket":
                ticket = self.consumed
            else:  # a dict remembers the order in which its keys came
                ticket = next(iter(self._finished), -1)
            if ticket in self._finished:
                return self._finished.pop(ticket)
            self._arrival = anyio.Event()
            await self._arrival.wait()
