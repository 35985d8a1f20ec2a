"""A run on scripted models, with everything that a test may want to look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import anyio

from tts.backends import Backend
from tts.layers import Account, Budget, Budgeted, Groups, Limited, Record, Trace, Traced
from tts.ledger import Ledger
from tts.messages import Request, Sampling
from tts.problem import Problem, Solution
from tts.prompts import Prompts
from tts.run import Run
from tts.session import Model, Session
from tts.spans import Span
from tts.strategy import Strategy
from tts.testing import ScriptedBackend, virtual_run

Work = Callable[[Run], Awaitable[Any]]


class Inline(Strategy, name="inline"):
    """A strategy from a function; what it returns is the solution, if it is one."""

    work: Work

    async def solve(self, problem: Problem, run: Run) -> Solution:
        result = await self.work(run)
        return result if isinstance(result, Solution) else Solution(answer=None)


@dataclass(frozen=True)
class Rig:
    """One run and the layers it calls through."""

    run: Run
    account: Account
    limited: Limited
    records: list[Record]


@dataclass(frozen=True)
class Played:
    """How a piece of work went; `value` is what its function returned."""

    solution: Solution
    value: Any
    rig: Rig


def rig(
    backend: Backend,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    concurrency: int = 64,
    sampling: Sampling | None = None,
) -> Rig:
    """Return a run on a backend behind the layers a solver would use; to be called in a loop."""
    records: list[Record] = []
    trace = Trace(records.append)
    account = Account(budget or Budget(), anyio.current_time())
    limited = Limited(backend, concurrency)
    stack = Budgeted(Traced(limited, trace), account)
    groups = Groups(backend, limited.concurrency)
    model = Model(stack, sampling or Sampling(), concurrency, groups)
    session = Session({"model": model}, account, trace, seed=seed)
    run = Run(session, Problem(text="What?"), Prompts([]), Span("run", seed, Ledger()))
    return Rig(run, account, limited, records)


def play(
    backend: Backend,
    work: Work,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    concurrency: int = 64,
    sampling: Sampling | None = None,
) -> Played:
    """Let a function play a strategy, on virtual time."""
    values: list[Any] = []

    async def kept(run: Run) -> Any:
        values.append(await work(run))
        return values[-1]

    async def main() -> Played:
        set_up = rig(backend, budget=budget, seed=seed, concurrency=concurrency, sampling=sampling)
        solution = await set_up.run.solve(Inline(work=kept))
        return Played(solution, values[0] if values else None, set_up)

    return virtual_run(main)


def answering(
    answers: Sequence[str | None], *, latency: float | Callable[[Request], float] = 1.0
) -> ScriptedBackend:
    """Return a model that answers each ticket from a list; None is a text without an answer."""

    def script(request: Request) -> str:
        answer = answers[request.ticket]
        return "no idea" if answer is None else f"Answer: {answer}"

    return ScriptedBackend(script, latency=latency)


def noise(salt: object, longest: float = 9.0) -> Callable[[Request], float]:
    """Return latencies that depend on the salt and on the call's place only."""
    return lambda request: Random(f"{salt}|{request.span}|{request.ticket}").uniform(0, longest)


async def drawn(run: Run, n: int, **options: Any) -> list[str | None]:
    """Sample and return the answers in the order in which they came."""
    async with run.sample("Q", n, **options) as samples:
        return [candidate.answer async for candidate in samples]
