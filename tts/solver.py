"""The front door: open a pipeline's models once, solve any number of problems with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from pydantic import ValidationError

from tts.backends.base import Backend, Given, Provider
from tts.carried import Carried
from tts.errors import ConfigError
from tts.layers import Account, Budget, Stack, Trace, open_stacks
from tts.ledger import Ledger
from tts.messages import Request
from tts.pipeline import Pipeline, describe
from tts.preflight import check_pipeline
from tts.problem import Exhausted, Problem, Solution
from tts.run import Run
from tts.session import Model, Session, Update
from tts.spans import Span
from tts.strategy import Strategy
from tts.tasks import is_in_event_loop, task_scope
from tts.tool_calls import Turns

__all__ = ["Solver", "open_solver", "solve", "solve_sync"]


class Solver:
    """A pipeline whose models are open. Problems solved at once share models and their limits.

    Args:
        pipeline: What is solved with.
        stacks: Its open models, by their names.
        turns: Shared with other solvers, so that each tool's limit holds for all of them together.
        is_checked: These models passed `check_pipeline`; it is not asked again for each problem.

    Attributes:
        stacks: Each model's layers, by its name in the pipeline.
        accounts: The budgets of the problems that are being solved.
        carried: What strategies hand on from problem to problem.
        is_interrupted: True once `interrupt` was called.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        stacks: Mapping[str, Stack],
        *,
        turns: Turns | None = None,
        is_checked: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.stacks = stacks
        self.accounts: set[Account] = set()
        self.carried = Carried(turns or Turns())
        self.is_interrupted = False
        self._bills = {name: each.take_bill() for name, each in pipeline.models.items()}
        self._told = {stacks[name].top.name: each.name for name, each in pipeline.models.items()}
        if not is_checked:
            check_pipeline(pipeline, {name: stack.top for name, stack in stacks.items()})
        alike = Counter(stack.top.name for stack in stacks.values())
        self._labels = {n: n if alike[each.top.name] > 1 else None for n, each in stacks.items()}

    async def solve(
        self,
        problem: Problem,
        *,
        seed: int = 0,
        trace: Trace | None = None,
        on_update: Callable[[Update], None] | None = None,
    ) -> Solution:
        """Solve one problem with the pipeline's strategy and budget.

        Args:
            problem: The problem.
            seed: Same seed, same texts, whatever the concurrency, where the models allow it; what a
                strategy carries from problem to problem depends on their order, too.
            trace: Where to record what happens.
            on_update: Called after each candidate.

        Raises:
            BackendError: If a call failed and nothing was found.
            ConfigError: If the budget does not hold even one call; nothing was spent.
        """
        trace = trace or Trace()
        account = Account(self.pipeline.budget, anyio.current_time())
        session, root = self._session(account, trace, seed, on_update), Span("run", seed, Ledger())
        session.number = self.carried.begin()
        self.accounts.add(account)
        if self.is_interrupted:
            account.end("interrupt")
        try:
            solution = await self._solve(problem, session, root)
        except BaseException as error:
            spent = root.ledger.usage(root.clock, trace.now)
            trace.write_end("failed", None, spent.model_dump(), error=type(error).__name__)
            raise
        finally:
            self.accounts.discard(account)
            self.carried.end(session.number)
        told, usage = solution.exhausted, solution.usage.model_dump()
        exhausted = None if told is None else told.model_dump()
        trace.write_end(solution.status, solution.answer, usage, exhausted=exhausted)
        return solution

    async def _solve(self, problem: Problem, session: Session, root: Span) -> Solution:
        strategy, trace, account = self.pipeline.strategy, session.trace, session.account
        if trace.sink is not None:
            given = strategy.settings()
            trace.begin(seed=session.seed, problem=problem.id, strategy=given, models=self._told)
        self._pay(account, trace, root.ledger)
        run = Run(session, problem, strategy.prompts(session.overrides), root)
        async with task_scope() as tasks:
            if account.deadline < math.inf:
                tasks.start_soon(account.watch)
            solution = await run.solve(strategy)
        if solution.usage.calls == 0 and solution.status == "budget_exhausted":
            _check_size(account)
        usage = root.ledger.usage(root.clock, solution.usage.wall_seconds)
        exhausted = _final(solution.exhausted, account)
        return solution.model_copy(update={"usage": usage, "exhausted": exhausted})

    def _pay(self, account: Account, trace: Trace, ledger: Ledger) -> None:
        """Charge the first run for what finding out about unknown servers has cost."""
        bills, self._bills = self._bills, {}
        for name, meter in bills.items():
            if meter is not None:
                price = self.stacks[name].top.price
                ledger.book(meter, price, "ok", role="probe", draws=meter.attempts)
                account.charge(meter, price)
                trace.write_probe(self.stacks[name].top.name, meter)

    def interrupt(self) -> None:
        """End all budgets now: each solve answers with what it has found so far."""
        self.is_interrupted = True
        for account in self.accounts:
            account.end("interrupt")

    @property
    def in_flight(self) -> int:
        """Calls that hold a permit now."""
        return sum(stack.limited.in_flight for stack in self.stacks.values())

    def _session(
        self,
        account: Account,
        trace: Trace,
        seed: int,
        on_update: Callable[[Update], None] | None,
    ) -> Session:
        pipeline = self.pipeline
        models = {
            name: Model(
                stack.for_run(trace, account, self._labels[name]),
                pipeline.models[name].sampling,
                stack.limited.concurrency,
                stack.groups,
            )
            for name, stack in self.stacks.items()
        }
        return Session(
            models,
            account,
            trace,
            seed=seed,
            roles=pipeline.roles,
            overrides=pipeline.prompts,
            on_update=on_update,
            carried=self.carried,
        )


def _final(exhausted: Exhausted | None, account: Account) -> Exhausted | None:
    """Return the limit that ended the run, or was overspent, with what was spent in the end."""
    over = account.overspent
    if exhausted is None and over is not None:
        return Exhausted(kind=over.kind, spent=over.spent, limit=over.limit)
    if exhausted is None:
        return None
    return exhausted.model_copy(update={"spent": account.spent_of(exhausted.kind)})


def _check_size(account: Account) -> None:
    """Tell a budget that is too small for any call from one that was spent."""
    if account.ended_by is None:
        limits = account.budget.model_dump(exclude_none=True)
        need = account.refused
        usd = f" and ${need.usd:.4g}" if account.budget.usd is not None else ""
        unset = Request.model_fields["max_tokens"].default
        raise ConfigError(
            f"the budget {limits} does not hold one call, which may take {need.tokens:g} tokens"
            f"{usd} with its prompt and max_tokens ({unset} where it is not set): "
            "raise the budget or lower max_tokens"
        )


@asynccontextmanager
async def open_solver(pipeline: Pipeline) -> AsyncIterator[Solver]:
    """Open a pipeline's models and close them on the way out.

    Raises:
        ConfigError: If a model cannot be opened, or lacks what the strategy needs.
    """

    def mistake(message: str, name: str) -> ConfigError:
        return pipeline.mistake(message, "models", name)

    async with open_stacks(pipeline.models, pipeline.concurrency, mistake) as stacks:
        yield Solver(pipeline, stacks)


def _given(model: object) -> object:
    """Wrap a backend, and tell what one that is almost a backend lacks."""
    if isinstance(model, Backend):
        return Given(backend=model)
    if isinstance(model, str | Mapping | Provider):
        return model
    members = ("name", "capabilities", "price", "prompt_tokens", "generate")
    lacking = [member for member in members if not hasattr(model, member)]
    raise ConfigError(f"{type(model).__name__} is no backend: it lacks {', '.join(lacking)}")


async def solve(
    problem: str | Problem,
    strategy: str | Mapping[str, Any] | Strategy = "self_consistency",
    *,
    model: str | Mapping[str, Any] | Provider | Backend = "reference",
    budget: Budget | Mapping[str, Any] | None = None,
    seed: int = 0,
    trace: Trace | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> Solution:
    """Solve one problem.

    Args:
        problem: The problem, or its text.
        strategy: A name, `{"use": name, ...settings}`, or a strategy.
        model: A backend's name, `{"backend": name, ...settings}`, a provider, or an open backend.
        budget: The most to spend; None is no limit.
        seed: Same seed, same texts.
        trace: Where to record what happens.
        on_update: Called after each candidate.

    Raises:
        ConfigError: If an argument is wrong; nothing was spent.
        BackendError: If a call failed and nothing was found.
    """
    try:
        pipeline = Pipeline(
            models={"model": _given(model)},  # type: ignore[dict-item]  # parsed by the field
            strategy=strategy,  # type: ignore[arg-type]  # likewise
            budget=budget or Budget(),  # type: ignore[arg-type]  # likewise
        )
        asked = problem if isinstance(problem, Problem) else pipeline.problem(problem)
    except ValidationError as error:
        given = {"strategy": strategy, "budget": budget}
        raise ConfigError(describe(error, Pipeline, given)) from error
    async with open_solver(pipeline) as solver:
        return await solver.solve(asked, seed=seed, trace=trace, on_update=on_update)


def solve_sync(
    problem: str | Problem,
    strategy: str | Mapping[str, Any] | Strategy = "self_consistency",
    *,
    model: str | Mapping[str, Any] | Provider | Backend = "reference",
    budget: Budget | Mapping[str, Any] | None = None,
    seed: int = 0,
    trace: Trace | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> Solution:
    """Solve one problem and wait for it; `solve` without `await`.

    Inside a running event loop (a notebook) the work runs in a loop of its own on another thread
    while this call waits. Arguments and errors as `solve`.
    """
    work = partial(
        solve,
        problem,
        strategy,
        model=model,
        budget=budget,
        seed=seed,
        trace=trace,
        on_update=on_update,
    )
    if not is_in_event_loop():
        return anyio.run(work)
    with start_blocking_portal() as portal:
        future = portal.start_task_soon(work)
        try:
            return future.result()
        except BaseException:  # Ctrl-C above all: the work must not go on unseen
            future.cancel()
            raise
