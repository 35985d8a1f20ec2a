"""The one object a strategy sees: it asks models, starts concurrent work, keeps the accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from random import Random
from typing import Any, ClassVar, Literal, Protocol, TypeVar, Unpack, overload

import anyio

from tts.backends.base import Capabilities
from tts.calls import make_call
from tts.continuations import extend, score
from tts.dataflow import flow
from tts.draws import Drawing
from tts.errors import BackendError, BudgetExceeded, NoQuorum
from tts.findings import Findings
from tts.ledger import Ledger
from tts.messages import Completion, Message, Request, ToolCall
from tts.pieces import stream
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt, Prompts
from tts.reports import Reports
from tts.requests import as_prompt, as_prompts
from tts.samples import Plan, Samples
from tts.session import CallOptions, Options, Session
from tts.spans import Span, current, standing
from tts.stopping import StoppingRule
from tts.tasks import for_each
from tts.tool_calls import call
from tts.votes import Tally, count

__all__ = ["Run", "Solves"]

_T = TypeVar("_T")
_R = TypeVar("_R")


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


class Run(Reports):
    """A strategy's view of the world while it solves one problem.

    Concurrent work starts only through `sample`, `map` and `solve`: there, clocks fork and join,
    so both costs are right without help from the strategy.
    """

    is_given_to_tools: ClassVar[bool] = True
    """A tool's parameter of this type is filled with the run, and the model does not see it."""

    def __init__(self, session: Session, problem: Problem, prompts: Prompts, span: Span) -> None:
        super().__init__(session, span, Findings(problem))
        self.problem = problem
        self._prompts = prompts

    @property
    def rng(self) -> Random:
        """A random generator that depends on the run's seed and place only."""
        return self._line.rng

    @property
    def _line(self) -> Span:
        """The span of the current task."""
        return current(self._span)

    def capabilities(self, role: str) -> Capabilities:
        """Return what the model that plays a role can do."""
        return self._session.model(role).backend.capabilities

    def count_tokens(self, text: str, role: str = "solve") -> int:
        """Count a text's tokens as the model of a role does; an upper bound where it cannot."""
        backend = self._session.model(role).backend
        none, given = (
            Request(messages=(Message(role="user", content=""),), given=part) for part in ("", text)
        )
        return backend.prompt_tokens(given) - backend.prompt_tokens(none)

    def prompt(self, role: str, **variables: Any) -> Prompt:
        """Render the template of a role.

        Raises:
            ConfigError: If there is no such template, or a variable is missing.
        """
        return self._prompts.render(role, **variables)

    async def generate(
        self,
        prompt: str | Prompt | Sequence[Message],
        *,
        role: str = "",
        on_token: Callable[[str], None] | None = None,
        on_call: Callable[[ToolCall], None] | None = None,
        **options: Unpack[CallOptions],
    ) -> Completion:
        """Ask the model that plays the prompt's role. One call.

        Args:
            prompt: A rendered prompt, a text, or a conversation.
            role: Replaces the prompt's role (default `solve`).
            on_token: Called with each piece of the text as it comes; what it raises ends the call.
            on_call: Called with function calls, in order, as soon as the arguments of each are
                complete. Those that it is not told of are in the completion all the same.
            options: Settings of this call.

        Raises:
            BackendError: If the call failed.
            BudgetExceeded: If the budget does not allow it.
            ConfigError: If an option is out of range.
        """
        span = self._line
        asked, ticket = as_prompt(prompt, role), span.take_ticket()
        return await make_call(
            self._session, span, asked, span.path, ticket, options, on_token, on_call
        )

    stream = stream
    extend = extend
    score = score
    count = count
    flow = flow
    call = call

    async def candidate(
        self,
        prompt: str | Prompt | Sequence[Message],
        *,
        role: str = "",
        **options: Unpack[CallOptions],
    ) -> Candidate:
        """Ask once and extract the answer. One call; errors as `generate`."""
        span = self._line
        asked, ticket = as_prompt(prompt, role), span.take_ticket()
        completion = await make_call(self._session, span, asked, span.path, ticket, options)
        return self._findings.remember(self._findings.read(ticket, completion), span.path)

    def priority(self, priority: int) -> AbstractContextManager[None]:
        """Let calls made in this block, and in work that starts in it, go first where calls wait.

        Args:
            priority: Higher goes first; 0 is the default. A call that names its own keeps it.
        """
        return self._line.prioritised(priority)

    @asynccontextmanager
    async def sample(
        self,
        prompt: str | Prompt | Sequence[Message] | Sequence[Prompt],
        n: int,
        *,
        stop: StoppingRule | None = None,
        votes: Tally | None = None,
        order: Literal["ticket", "completion"] = "ticket",
        speculate: int = 0,
        quorum: int = 1,
        keep_cut: bool = False,
        role: str = "",
        **options: Unpack[Options],
    ) -> AsyncIterator[Samples]:
        """Open a scope that yields up to n candidates. At most n calls, one deep without a rule.

        Without a rule, a model that draws several completions in one request (ability `n`) is
        asked for them together.

        With a rule, give the tally it watches and add each candidate to it before asking for the
        next. Several prompts are asked in turn. Leaving the scope cancels what is in flight, which
        with `keep_cut` leaves what it had said in `samples.cut`. See `Plan` for the arguments.

        Raises:
            BackendError: From the iterator, if all draws failed, or fewer than `quorum` survived.
            ConfigError: If n < 1, or a rule is given without votes.
        """
        plan = Plan.checked(n, stop, votes, order=order, speculate=speculate, quorum=quorum)
        asked = as_prompts(prompt, role)
        settings = {**plan.reading(self.capabilities(asked[0].role)), **options}
        drawing = Drawing(
            self._session, self._findings, self._line, asked, settings, keeps_cut=keep_cut
        )
        async with drawing.open(plan, self._report) as samples:
            yield samples

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
        try:
            with standing(span):
                solution = await child._attempt(strategy)
        finally:
            parent.join(span.clock)
            self._findings.adopt(child._findings)
            self._write_span(span.path, start, span.clock.since(before))
        usage = ledger.usage(span.clock.since(before), session.trace.now - start)
        told = {"strategy": strategy.name, "usage": usage, "trace_id": session.trace.id}
        return solution.model_copy(update=told | ledger.told_of_failures())

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
        spans = [parent.fork(f"{path}/{index}") for index in range(len(work))]
        results: list[_R | None] = [None] * len(work)
        slots = anyio.Semaphore(max(1, concurrency), fast_acquire=True)

        async def apply(index: int) -> None:
            async with slots:
                call = partial(function, work[index])
                results[index] = await self._within(spans[index], call, failures)

        try:
            await for_each(apply, range(len(work)))
        finally:
            for span in spans:
                parent.join(span.clock)
            self._write_span(path, start, parent.clock.since(before))
        return results

    async def _within(
        self, span: Span, work: Callable[[], Awaitable[_R]], failures: Literal["raise", "skip"]
    ) -> _R | None:
        """Work in a span of its own."""
        start, before = self._session.trace.now, span.clock
        try:
            with standing(span):
                return await work()
        except (BackendError, BudgetExceeded):
            if failures == "raise":
                raise
            return None
        finally:
            self._write_span(span.path, start, span.clock.since(before))

    async def _attempt(self, strategy: Solves) -> Solution:
        """Let the strategy solve; if that is cut short, answer with what it had seen."""
        try:
            solution = await strategy.solve(self.problem, self)
        except (BackendError, BudgetExceeded) as error:
            is_answered = len(self._findings) > 0 or isinstance(error, BudgetExceeded)
            if isinstance(error, NoQuorum) or not is_answered:
                raise
            solution = self._findings.vote()
        return self._findings.complete(solution, exhausted=self._session.exhausted)
