"""The calls of one sample: where they stand, what they bring, what the trace hears of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from tts.calls import make_call, make_group
from tts.errors import (
    BackendError,
    BackendUnavailable,
    BudgetExceeded,
    ConfigError,
    InvalidResponse,
)
from tts.findings import Findings
from tts.messages import Completion, Usage
from tts.problem import Candidate
from tts.prompts import Prompt
from tts.samples import Draw, Draws, Plan, Samples
from tts.session import Session
from tts.spans import Span
from tts.stopping import Never
from tts.tasks import for_each, task_scope

__all__ = ["Drawing"]


class Drawing:
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
        self._model = session.model(prompts[0].role)
        self._unfinished: dict[int, tuple[Span, list[str]]] = {}
        self._path = span.name_fork("sample")
        self._start, self._before = session.trace.now, span.clock

    @asynccontextmanager
    async def open(self, plan: Plan, report: Callable[[Plan], None]) -> AsyncIterator[Samples]:
        """Open the sample's scope; what is in flight when it is left is cancelled."""
        async with task_scope() as tasks:
            launch = self.launch_groups if isinstance(plan.stop, Never) else self.launch
            samples = Samples(plan, tasks, launch, self.consume, report, workers=self.workers)
            try:
                yield samples
            finally:
                self.close(samples)
        if self._keeps_cut:  # the draws that were cancelled have ended
            samples.cut = self.cut(samples)

    @property
    def workers(self) -> int:
        """Most tasks that the sample needs: what the model's layers let through, and waiters."""
        return 4 * self._model.concurrency

    def launch(self, tickets: range) -> Iterator[Draws]:
        """Return draws that start now on the clock, whenever their tasks get to them."""
        for ticket in tickets:
            yield Draws(range(ticket, ticket + 1), partial(self._alone, ticket, self._fork(ticket)))

    def launch_groups(self, tickets: range) -> Iterator[Draws]:
        """Return the same, but several in one request where the model can do that."""
        groups = self._model.groups
        is_one = len(self._prompts) == 1 and not self._keeps_cut
        if groups is None or not is_one or self._options.get("given") is not None:
            yield from self.launch(tickets)
            return
        for part in groups.cut(tickets):
            spans = {ticket: self._fork(ticket) for ticket in part}
            yield Draws(part, partial(self._draws, part, spans))

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

    def cut(self, samples: Samples) -> list[Candidate]:
        """Return what the draws have said that nobody consumed, by ticket, and join their clocks.

        To be called when all have ended. What was finished is whole; the tokens of what was
        cancelled are counted by the pieces that were heard.
        """
        found = []
        for draw in samples.unconsumed:
            self._span.join(draw.clock)
            if isinstance(draw.result, Candidate):
                found.append(draw.result)
        for ticket, (span, pieces) in self._unfinished.items():
            if pieces:
                self._span.join(span.clock)
                said = Completion(
                    text="".join(pieces),
                    finish_reason="length",
                    usage=Usage(completion_tokens=len(pieces), estimated=True),
                    model=self._model.backend.name,
                )
                found.append(self._findings.read(ticket, said))
        return sorted(found, key=lambda candidate: candidate.ticket)

    def _fork(self, ticket: int) -> Span:
        return self._span.fork(f"{self._path}/{ticket}")

    async def _alone(self, ticket: int, span: Span) -> list[Draw]:
        prompt, pieces = self._prompts[ticket % len(self._prompts)], list[str]()
        ear = pieces.append if self._keeps_cut else None
        self._unfinished[ticket] = (span, pieces)
        try:
            completion = await make_call(
                self._session, span, prompt, self._path, ticket, self._options, ear
            )
        except (BackendError, BudgetExceeded) as error:
            del self._unfinished[ticket]
            return [Draw(ticket, span.clock, error)]
        del self._unfinished[ticket]  # only a cancelled draw stays
        return [Draw(ticket, span.clock, self._findings.read(ticket, completion))]

    async def _draws(self, tickets: range, spans: Mapping[int, Span]) -> list[Draw]:
        """Draw tickets in one request; what that does not bring is drawn in smaller ones."""
        if len(tickets) == 1:
            return await self._alone(tickets[0], spans[tickets[0]])
        made, parts = await self._together(tickets, spans)
        ended = spans[tickets[0]].clock.join(*(draw.clock for draw in made))
        for part in parts:  # they begin when the request has ended
            for ticket in part:
                spans[ticket].join(ended)

        async def draw(part: range) -> None:
            made.extend(await self._draws(part, spans))

        if parts:
            await for_each(draw, parts)
        return made

    async def _together(
        self, tickets: range, spans: Mapping[int, Span]
    ) -> tuple[list[Draw], list[range]]:
        """Draw tickets in one request; return what came, and how to draw the others."""
        groups, first = self._model.groups, spans[tickets[0]]
        assert groups is not None
        singly = [range(ticket, ticket + 1) for ticket in tickets]
        try:
            group, clocks = await make_group(
                self._session, first, self._prompts[0], self._path, tickets, self._options
            )
        except ConfigError:  # nothing was spent: the server does not take so many, or none at all
            groups.refuse(len(tickets))
            return [], list(groups.cut(tickets))
        except (BudgetExceeded, BackendUnavailable):
            return [], singly
        except BackendError as error:
            return [Draw(ticket, first.clock, error) for ticket in tickets], []
        made = []
        draws = group.draws or (group,)
        for ticket, draw, clock in zip(tickets, draws, clocks, strict=False):
            if draw is None:
                lost = InvalidResponse(f"{group.model}: one of {len(draws)} draws is not readable")
                made.append(Draw(ticket, clock, lost))
            else:
                made.append(Draw(ticket, clock, self._findings.read(ticket, draw)))
        return made, singly[len(made) :]
