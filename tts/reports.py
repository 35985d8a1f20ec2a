"""What a run does beside asking models: it keeps what was found, and tells who watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio

from tts.carried import Adds, Share
from tts.errors import BudgetExceeded
from tts.executed import Step
from tts.findings import Findings
from tts.layers import Spending
from tts.ledger import Clock
from tts.messages import Completion
from tts.problem import Candidate, Exhausted
from tts.samples import Plan
from tts.session import Session, Update
from tts.spans import Span

__all__ = ["Reports"]

_T = TypeVar("_T", bound=Adds)
_Kind = TypeVar("_Kind")


class Reports:
    """The side of a run that asks no model."""

    def __init__(self, session: Session, span: Span, findings: Findings) -> None:
        self._session, self._span, self._findings = session, span, findings

    @property
    def _line(self) -> Span:
        """The span of the current task."""
        return self._span

    @property
    def remaining(self) -> Spending:
        """What the budget has left: tokens, calls, dollars; infinite where there is no limit."""
        return self._session.account.remaining

    @property
    def is_exhausted(self) -> bool:
        """True once the budget has refused or ended a call: what came since may be incomplete."""
        return self._session.exhausted is not None

    def slots(self, role: str) -> tuple[str, int]:
        """Return the name of the model that plays a role, and the calls it lets through at once."""
        return self._session.name_of(role), self._session.model(role).concurrency

    def branch(self, name: str) -> Span:
        """Return a line of calls that starts here, for work that runs beside other work.

        Args:
            name: Its place here, which decides the seeds of its calls.
        """
        return self._line.fork(f"{self._line.path}/{name}")

    def propose(self, completion: Completion, *, ticket: int) -> Candidate:
        """Keep a text that several calls have written as a candidate. No call.

        Args:
            completion: The whole text; cut off, if its `finish_reason` is `length`.
            ticket: Its place among the candidates of its kind.
        """
        return self._findings.remember(self._findings.read(ticket, completion), self._line.path)

    def count_parse_failure(self, reason: str = "") -> None:
        """Count a judgement or plan that could not be read, and keep why."""
        self._findings.parse_failures += 1
        self.explain(reason)

    def explain(self, reason: str) -> None:
        """Keep in words why something could not be used, for `Solution.reasons`."""
        if reason:
            self._findings.reasons[" ".join(reason.split())] = None

    def note(self, **values: float) -> None:
        """Keep what a strategy measured on its way: for `Solution.notes` and the trace."""
        self._findings.notes.update(values)
        self._session.trace.write("note", span=self._line.path, values=values)

    def remembered(self, kind: type[_Kind]) -> _Kind:
        """Return the object of this class that a solver's runs share, made when first asked for.

        What it holds may decide when something is done, and no answer; `carried` is for that.
        """
        return self._session.carried.remembered(kind)

    async def rest(self, seconds: float) -> None:
        """Wait, no longer than the budget lasts.

        Raises:
            BudgetExceeded: If it ended.
        """
        account = self._session.account
        scope = account.open_scope(seconds)
        try:
            if account.ended_by is None:
                with scope:
                    await anyio.sleep_forever()
        finally:
            account.close_scope(scope)
        if account.ended_by is not None:
            raise account.refusal(Spending())

    @contextmanager
    def opening(self) -> Iterator[Callable[[], None]]:
        """Let the budget's end cut off what this block opens, until it calls what it is given.

        What is open by then lives on until the block is left, whatever becomes of the budget.

        Raises:
            BudgetExceeded: If the budget ended before.
        """
        session = self._session
        scope = session.account.open_scope(None)
        try:
            if session.account.ended_by is not None:
                scope.cancel()
            with scope:
                yield partial(session.account.close_scope, scope)
        finally:
            session.account.close_scope(scope)
        if scope.cancelled_caught:
            refused = session.account.refusal(Spending())
            session.exhausted = session.exhausted or Exhausted.by(refused)
            raise refused

    @property
    def now(self) -> float:
        """Seconds since the trace began, as its records tell them."""
        return self._session.trace.now

    @property
    def clock(self) -> Clock:
        """The longest chain of calls that led here."""
        return self._line.clock

    def follow(self, clock: Clock) -> None:
        """Note that what comes used other concurrent work, which was done at that time."""
        self._line.join(clock)

    @asynccontextmanager
    async def carried(self, key: str, empty: _T, *, lag: int) -> AsyncIterator[Share[_T]]:
        """Share a sum with what stands here in other problems of the open solver; see `Carried`.

        No call. What is done with it then depends on the problems that began before this one: a
        strategy that uses it says so (`Strategy.carries`), and suites, without an order, refuse it.
        Waiting for them is on no clock but the wall's, and the budget's seconds run meanwhile. In
        another place of the run, such as another part of a strategy, a key is another sum.

        Raises:
            BackendTimeout: If no earlier problem got further for `tts.carried.PATIENCE` seconds.
            BudgetExceeded: If the budget ended before they did.
            ConfigError: If the key's share was opened here before, or a share cannot be added.
        """
        session = self._session
        try:
            async with session.carried.join(
                f"{self._line.path} {key}",
                empty,
                number=session.number,
                lag=lag,
                account=session.account,
            ) as share:
                yield share
        except BudgetExceeded as refused:
            session.exhausted = session.exhausted or Exhausted.by(refused)
            raise

    @property
    def is_watched(self) -> bool:
        """True if somebody hears of `show`."""
        return self._session.on_update is not None

    def record(self, event: str, **fields: Any) -> None:
        """Put an event of the strategy's own into the trace, with its time and span."""
        trace = self._session.trace
        trace.write(event, span=self._line.path, at=trace.now, **fields)

    def show(self, steps: Iterable[Step], note: str = "") -> None:
        """Tell whoever watches how the calls of a plan stand."""
        if self._session.on_update is not None:
            tokens = self._span.ledger.total_tokens
            self._session.on_update(Update(0, 0, None, tokens, tuple(steps), note))

    def _report(self, plan: Plan) -> None:
        if self._session.on_update is not None:
            tokens = self._span.ledger.total_tokens
            self._session.on_update(Update(len(self._findings), plan.n, plan.votes, tokens))

    def _write_span(self, path: str, start: float, elapsed: Clock) -> None:
        self._session.trace.write_span(path, start, elapsed.tokens)
