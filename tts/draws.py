"""The calls of one sample: where they stand, what they bring, what the trace hears of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from tts.calls import make_call
from tts.errors import BackendError, BudgetExceeded
from tts.findings import Findings
from tts.messages import Completion, Usage
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
        prompts: What the tickets ask in turn; of one role.
        options: Settings of the calls.
        keeps_cut: Listen to the texts, so that a draw that is cut off leaves what it has said.
    """

    def __init__(
        self,
        session: Session,
        findings: Findings,
        span: Span,
        prompts: Sequence[Prompt],
        options: Mapping[str, object],
        *,
        keeps_cut: bool = False,
    ) -> None:
        self._session, self._findings, self._span = session, findings, span
        self._prompts, self._options = prompts, options
        self._keeps_cut = keeps_cut
        self._unfinished: dict[int, tuple[Span, list[str]]] = {}
        self._path = span.name_fork("sample")
        self._start, self._before = session.trace.now, span.clock

    @property
    def workers(self) -> int:
        """Most tasks that the sample needs: what the model's layers let through, and waiters."""
        return 4 * self._session.model(self._prompts[0].role).concurrency

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

    def cut(self) -> list[Candidate]:
        """Return what the draws that were cancelled had said, by ticket, and join their clocks.

        To be called when they have ended. Their tokens are counted by the pieces that were heard.
        """
        found = []
        for ticket, (span, pieces) in sorted(self._unfinished.items()):
            if pieces:
                self._span.join(span.clock)
                said = Completion(
                    text="".join(pieces),
                    finish_reason="length",
                    usage=Usage(completion_tokens=len(pieces), estimated=True),
                    model=self._session.model(self._prompts[0].role).backend.name,
                )
                found.append(self._findings.read(ticket, said))
        return found

    async def _draw(self, ticket: int, span: Span) -> Draw:
        prompt, pieces = self._prompts[ticket % len(self._prompts)], list[str]()
        ear = pieces.append if self._keeps_cut else None
        self._unfinished[ticket] = (span, pieces)
        try:
            completion = await make_call(
                self._session, span, prompt, self._path, ticket, self._options, ear
            )
        except (BackendError, BudgetExceeded) as error:
            del self._unfinished[ticket]
            return Draw(ticket, span.clock, error)
        del self._unfinished[ticket]  # only a cancelled draw stays
        return Draw(ticket, span.clock, self._findings.read(ticket, completion))
