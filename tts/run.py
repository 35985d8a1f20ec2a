"""The one object a strategy sees: it asks models, starts concurrent work, keeps the accounts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from random import Random
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, Unpack, overload

import anyio
from pydantic import ValidationError

from tts.backends.base import Capabilities, Meter
from tts.errors import BackendError, BudgetExceeded, ConfigError, NoQuorum
from tts.layers import Spending
from tts.ledger import Clock, Ledger
from tts.messages import Completion, Message, Request
from tts.pieces import stream
from tts.problem import Candidate, Problem, Solution, StoppedBy
from tts.prompts import Prompt, Prompts
from tts.samples import Draw, Plan, Samples
from tts.session import CallOptions, Options, Session, Update
from tts.spans import Span, seed_of
from tts.stopping import Never, StoppingRule
from tts.tasks import first_error, task_scope
from tts.votes import Tally

__all__ = ["Run", "Solves"]

_T = TypeVar("_T")
_R = TypeVar("_R")
_Place: TypeAlias = tuple[tuple[int | str, ...], int]
_Given: TypeAlias = Mapping[str, object]
_Ear: TypeAlias = Callable[[str], None] | None
_here: ContextVar[Span | None] = ContextVar("span", default=None)


class Solves(Protocol):
    """What `run.solve` needs of a strategy."""

    @property
    def name(self) -> str:
        """Name for traces and results."""
        ...

    def prompts(self, overrides: Mapping[str, str]) -> Prompts:
        """Return the strategy's templates."""
        ...

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Solve the problem."""
        ...


class Run:
    """A strategy's view of the world while it solves one problem.

    Concurrent work starts only through `sample`, `map` and `solve`: there, clocks fork and join,
    so both costs are right without help from the strategy.
    """

    def __init__(self, session: Session, problem: Problem, prompts: Prompts, span: Span) -> None:
        self.problem = problem
        self._session, self._prompts, self._span = session, prompts, span
        self._seen: list[tuple[_Place, Candidate]] = []
        self._stops: dict[_Place, StoppedBy | None] = {}
        self._parse_failures = 0

    @property
    def remaining(self) -> Spending:
        """What the budget has left: tokens, calls, dollars; infinite where there is no limit."""
        return self._session.account.remaining

    @property
    def rng(self) -> Random:
        """A random generator that depends on the run's seed and place only."""
        return self._line.rng

    @property
    def _line(self) -> Span:
        """The span of the current task; another solve's span is none of ours."""
        here = _here.get()
        return here if here is not None and here.root is self._span.root else self._span

    def capabilities(self, role: str) -> Capabilities:
        """Return what the model that plays a role can do."""
        return self._session.model(role).backend.capabilities

    def prompt(self, role: str, **variables: Any) -> Prompt:
        """Render the template of a role.

        Raises:
            ConfigError: If there is no such template, or a variable is missing.
        """
        return self._prompts.render(role, **variables)

    def count_parse_failure(self) -> None:
        """Count a judgement or plan that could not be read."""
        self._parse_failures += 1

    async def generate(
        self,
        prompt: str | Prompt | Sequence[Message],
        *,
        role: str = "",
        on_token: Callable[[str], None] | None = None,
        **options: Unpack[CallOptions],
    ) -> Completion:
        """Ask the model that plays the prompt's role. One call.

        Args:
            prompt: A rendered prompt, a text, or a conversation.
            role: Replaces the prompt's role (default `solve`).
            on_token: Called with each piece of the text as it comes; what it raises ends the call.
            options: Settings of this call.

        Raises:
            BackendError: If the call failed.
            BudgetExceeded: If the budget does not allow it.
            ConfigError: If an option is out of range.
        """
        span = self._line
        place = span, span.path, span.take_ticket()
        return await self._call(_prompt(prompt, role), *place, options, on_token)

    stream = stream

    async def candidate(
        self,
        prompt: str | Prompt | Sequence[Message],
        *,
        role: str = "",
        **options: Unpack[CallOptions],
    ) -> Candidate:
        """Ask once and extract the answer. One call; errors as `generate`."""
        span = self._line
        ticket = span.take_ticket()
        completion = await self._call(_prompt(prompt, role), span, span.path, ticket, options)
        return self._remember(self._read(ticket, completion), span.path)

    @asynccontextmanager
    async def sample(
        self,
        prompt: str | Prompt | Sequence[Message],
        n: int,
        *,
        stop: StoppingRule | None = None,
        votes: Tally | None = None,
        order: Literal["ticket", "completion"] = "ticket",
        speculate: int = 0,
        quorum: int = 1,
        role: str = "",
        **options: Unpack[Options],
    ) -> AsyncIterator[Samples]:
        """Open a scope that yields up to n candidates. At most n calls, one deep without a rule.

        With a rule, give the tally it watches and add each candidate to it before asking for the
        next. Leaving the scope cancels what is in flight. See `Plan` for the arguments.

        Raises:
            BackendError: From the iterator, if all draws failed, or fewer than `quorum` survived.
            ConfigError: If n < 1, or a rule is given without votes.
        """
        if n < 1 or speculate < 0:
            raise ConfigError(f"sample needs n >= 1 and speculate >= 0, got {n} and {speculate}")
        if stop is not None and votes is None:
            raise ConfigError(f"stop={stop.name!r} needs the tally it shall watch: give votes=")
        if votes is not None and "logprobs" in votes.vote.needs:
            options.setdefault("logprobs", True)
        plan = Plan(n, stop or Never(), votes, order, speculate, quorum)
        asked, parent = _prompt(prompt, role), self._line
        path = parent.name_fork("sample")

        async def draw(ticket: int, span: Span) -> Draw:
            try:
                completion = await self._call(asked, span, path, ticket, options)
            except (BackendError, BudgetExceeded) as error:
                return Draw(ticket, span.clock, error)
            return Draw(ticket, span.clock, self._read(ticket, completion))

        def launch(ticket: int) -> Callable[[], Awaitable[Draw]]:
            return partial(draw, ticket, parent.fork(f"{path}/{ticket}"))

        def consumed(draw: Draw) -> None:
            parent.join(draw.clock)
            if isinstance(draw.result, Candidate):
                self._remember(draw.result, path)

        start, before = self._session.trace.now, parent.clock
        workers = 4 * self._session.model(asked.role).concurrency
        async with task_scope() as tasks:
            samples = Samples(plan, tasks, launch, consumed, self._report, workers=workers)
            try:
                yield samples
            finally:
                self._stops[_place(path, 0)] = samples.stopped_by
                if samples.stopped_by is not None:
                    why = samples.stopped_by.model_dump()
                    self._session.trace.write("stop", span=path, ticket=samples.consumed - 1, **why)
                self._write_span(path, start, parent.clock.since(before))

    async def solve(self, strategy: Solves, problem: Problem | None = None) -> Solution:
        """Let a strategy solve a problem in a child run; this is how strategies nest.

        What a strategy had found when its budget ended or a call failed is not lost: the vote
        over its candidates is returned.

        Raises:
            BackendError: If a call failed and no candidate exists.
        """
        parent, session = self._line, self._session
        ledger = Ledger(parent.ledger)
        span = parent.fork(parent.name_fork("solve"), ledger)
        child = Run(session, problem or self.problem, strategy.prompts(session.overrides), span)
        start, before = session.trace.now, span.clock
        token = _here.set(span)
        try:
            solution = await child._attempt(strategy)
        finally:
            _here.reset(token)
            parent.join(span.clock)
            self._adopt(child)
            self._write_span(span.path, start, span.clock.since(before))
        usage = ledger.usage(span.clock.since(before), session.trace.now - start)
        return solution.model_copy(
            update={
                "strategy": strategy.name,
                "usage": usage,
                "failed_calls": ledger.failed,
                "trace_id": session.trace.id,
            }
        )

    @overload
    async def map(
        self,
        function: Callable[[_T], Awaitable[_R]],
        items: Iterable[_T],
        *,
        failures: Literal["raise"] = "raise",
        concurrency: int = 64,
    ) -> list[_R]: ...
    @overload
    async def map(
        self,
        function: Callable[[_T], Awaitable[_R]],
        items: Iterable[_T],
        *,
        failures: Literal["skip"],
        concurrency: int = 64,
    ) -> list[_R | None]: ...
    async def map(
        self,
        function: Callable[[_T], Awaitable[_R]],
        items: Iterable[_T],
        *,
        failures: Literal["raise", "skip"] = "raise",
        concurrency: int = 64,
    ) -> list[_R] | list[_R | None]:
        """Apply a function to items concurrently; results stand in the items' order.

        Args:
            function: Asks the run whatever it likes, each item in a span of its own.
            items: The items.
            failures: `raise` ends the map with the first error and cancels the rest; `skip` puts
                None where a call failed or the budget did not allow it.
            concurrency: Most items under way at once.

        Raises:
            BackendError, BudgetExceeded: With `raise`, the first error of a call.
        """
        parent, start = self._line, self._session.trace.now
        path, before = parent.name_fork("map"), parent.clock
        work = list(items)
        results: dict[int, _R | None] = {}
        slots = anyio.Semaphore(max(1, concurrency), fast_acquire=True)
        spans = [parent.fork(f"{path}/{index}") for index in range(len(work))]

        async def apply(index: int) -> None:
            async with slots:
                span, began = spans[index], self._session.trace.now
                _here.set(span)
                try:
                    results[index] = await function(work[index])
                except (BackendError, BudgetExceeded):
                    if failures == "raise":
                        raise
                    results[index] = None
                finally:
                    self._write_span(span.path, began, span.clock.since(before))

        try:
            with first_error():
                async with anyio.create_task_group() as tasks:
                    for index in range(len(work)):
                        tasks.start_soon(apply, index)
        finally:
            for span in spans:
                parent.join(span.clock)
            self._write_span(path, start, parent.clock.since(before))
        return [results[index] for index in range(len(work))]

    async def _call(
        self, prompt: Prompt, span: Span, path: str, ticket: int, options: _Given, ear: _Ear = None
    ) -> Completion:
        """Make one call: seed it, let the layers carry it, book it, advance the clock."""
        session = self._session
        model = session.model(prompt.role)
        meter, start = Meter(listener=ear), span.clock
        ending: Literal["ok", "cancelled", "failed"] = "cancelled"
        request = _request(prompt, path, ticket, {**model.options, **options}, session.seed)
        try:
            completion = await model.backend.generate(request, meter)
            ending = "ok"
        except BudgetExceeded:
            session.is_exhausted = True
            raise
        except BackendError:
            ending = "failed"
            raise
        finally:
            if meter.started:
                span.ledger.book(meter, model.backend.price, ending)
            if ending != "cancelled":  # whoever waited for a failure waited for its tokens too
                span.join(start.after(meter))
        return completion

    def _read(self, ticket: int, completion: Completion) -> Candidate:
        answer = self.problem.answer_format.extract(
            completion.visible, complete=completion.finish_reason == "stop"
        )
        return Candidate(ticket=ticket, completion=completion, answer=answer)

    def _remember(self, candidate: Candidate, path: str) -> Candidate:
        self._seen.append((_place(path, candidate.ticket), candidate))
        self._parse_failures += candidate.answer is None
        return candidate

    def _adopt(self, child: Run) -> None:
        """Take over what a child run has counted, and its candidates if they answer our problem."""
        self._parse_failures += child._parse_failures
        if child.problem == self.problem:
            self._seen += child._seen

    def _report(self, plan: Plan) -> None:
        if self._session.on_update is not None:
            ledger = self._span.ledger
            tokens = ledger.prompt_tokens + ledger.completion_tokens
            self._session.on_update(Update(len(self._seen), plan.n, plan.votes, tokens))

    async def _attempt(self, strategy: Solves) -> Solution:
        """Let the strategy solve; if that is cut short, answer with what it had seen."""
        try:
            solution = await strategy.solve(self.problem, self)
        except (BackendError, BudgetExceeded) as error:
            if isinstance(error, NoQuorum) or not (self._seen or isinstance(error, BudgetExceeded)):
                raise
            solution = Tally.of(self._candidates()).solution()
        update: dict[str, Any] = {"parse_failures": self._parse_failures}
        if self._session.is_exhausted:
            update["status"] = "budget_exhausted"
        elif solution.answer is None:
            update["status"] = "no_answer"
        if solution.stopped_by is None and self._stops:
            update["stopped_by"] = self._stops[max(self._stops)]
        update["candidates"] = self._with_scores(solution.candidates)
        return solution.model_copy(update=update)

    def _with_scores(self, returned: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return all candidates that were seen, in the form in which the strategy returned them."""
        scored = {(one.ticket, id(one.completion)): one for one in returned}
        seen = [(one.ticket, id(one.completion)) for one in self._candidates()]
        strangers = [one for key, one in scored.items() if key not in set(seen)]
        known = zip(seen, self._candidates(), strict=True)
        return (*(scored.get(key, one) for key, one in known), *strangers)

    def _candidates(self) -> list[Candidate]:
        """Return what was seen by place, since the order of arrival depends on timing."""
        return [candidate for _, candidate in sorted(self._seen, key=lambda pair: pair[0])]

    def _write_span(self, path: str, start: float, elapsed: Clock) -> None:
        trace = self._session.trace
        trace.write("span", path=path, start=start, end=trace.now, critical_tokens=elapsed.tokens)


def _place(path: str, ticket: int) -> _Place:
    """A sort key: where in the run a call stands."""
    parts = re.split(r"(\d+)", path)
    return tuple(int(part) if part.isdigit() else part for part in parts), ticket


def _prompt(prompt: str | Prompt | Sequence[Message], role: str) -> Prompt:
    if isinstance(prompt, Prompt):
        return Prompt(role, prompt.messages) if role else prompt
    if isinstance(prompt, str):
        return Prompt.of(prompt, role or "solve")
    return Prompt(role or "solve", tuple(prompt))


def _request(prompt: Prompt, path: str, ticket: int, options: _Given, seed: int) -> Request:
    try:
        return Request.model_validate(
            {
                **options,
                "messages": prompt.messages,
                "seed": seed_of(seed, path, ticket),
                "role": prompt.role,
                "span": path,
                "ticket": ticket,
            }
        )
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise ConfigError(f"call of role {prompt.role!r}: {where}: {detail['msg']}") from error
