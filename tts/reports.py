"""What a run does beside asking models: it calls tools, tells the trace, and whoever watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tts.carried import Adds, Share
from tts.errors import BudgetExceeded
from tts.executed import Step
from tts.findings import Findings
from tts.layers import Spending
from tts.ledger import Clock
from tts.problem import Exhausted
from tts.samples import Plan
from tts.session import Session, Update
from tts.spans import Span
from tts.tool_calls import call_tool

if TYPE_CHECKING:  # `import tts` does without it
    from tts.tools import Tool

__all__ = ["Reports"]

_T = TypeVar("_T", bound=Adds)


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

    async def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Any:
        """Call a tool within its time limit; the budget's end ends it too. No model call.

        Raises:
            BudgetExceeded: If the budget ended before there was a result.
            ToolError: If the arguments do not fit, the tool failed, or it took too long.
        """
        return await call_tool(self._session, self._line.path, tool, arguments)

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
        """Share a sum with the other problems of the open solver; see `Carried`. No call.

        What is done with it then depends on the problems that began before this one. Waiting for
        them is on no clock but the wall's.

        Raises:
            BudgetExceeded: If the budget ended before they did.
        """
        session = self._session
        try:
            async with session.carried.join(key, empty, lag=lag, account=session.account) as share:
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
