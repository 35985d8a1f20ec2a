"""The calls of one sample: where they stand, what they bring, what the trace hears of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from tts.calls import make_call
from tts.errors import BackendError, BudgetExceeded
from tts.findings import Findings
from tts.problem import Candidate
from tts.prompts import Prompt
from tts.samples import Draw, Samples
from tts.session import Session
from tts.spans import Span

__all__ = ["Draws"]


class Draws:
    """Makes the draws of a sample, and takes them in when they are consumed.

    Args:
        session: What the runs share.
        findings: What the run has found; candidates are added when they are consumed.
        span: The line that opens the sample; its clock joins those of consumed draws.
        prompt: What every draw asks.
        options: Settings of the calls.
    """

    def __init__(
        self,
        session: Session,
        findings: Findings,
        span: Span,
        prompt: Prompt,
        options: Mapping[str, object],
    ) -> None:
        self._session, self._findings, self._span = session, findings, span
        self._prompt, self._options = prompt, options
        self._path = span.name_fork("sample")
        self._start, self._before = session.trace.now, span.clock

    @property
    def workers(self) -> int:
        """Most tasks that the sample needs: what the model's layers let through, and waiters."""
        return 4 * self._session.model(self._prompt.role).concurrency

    def launch(self, ticket: int) -> Callable[[], Awaitable[Draw]]:
        """Return a draw that starts now on the clock, whenever its task gets to it."""
        return partial(self._draw, ticket, self._span.fork(f"{self._path}/{ticket}"))

    def consume(self, draw: Draw) -> None:
        """Join a draw's clock and keep its candidate."""
        self._span.join(draw.clock)
        if isinstance(draw.result, Candidate):
            self._findings.remember(draw.result, self._path)

    def close(self, samples: Samples) -> None:
        """Record how the sample ended."""
        trace, stopped_by = self._session.trace, samples.stopped_by
        self._findings.stop(self._path, stopped_by)
        if stopped_by is not None:
            why = stopped_by.model_dump()
            trace.write("stop", span=self._path, ticket=samples.consumed - 1, **why)
        elapsed = self._span.clock.since(self._before)
        trace.write_span(self._path, self._start, elapsed.tokens)

    async def _draw(self, ticket: int, span: Span) -> Draw:
        try:
            completion = await make_call(
                self._session, span, self._prompt, self._path, ticket, self._options
            )
        except (BackendError, BudgetExceeded) as error:
            return Draw(ticket, span.clock, error)
        return Draw(ticket, span.clock, self._findings.read(ticket, completion))
