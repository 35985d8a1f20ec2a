"""Thousands of runs on models that misbehave, cancelled at random moments, in virtual time.

What must hold, whatever happens: no run outlives its bound, nothing stays behind (permits, tasks,
reservations, calls at the model), no budget is overspent at any moment, every token that a model
spent is charged to exactly one run, no candidate that was received is lost, and every failure is
one of the library's own errors.

    python -m tts.evals.bench.soak [--runs N] [--seed N] [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import anyio

from tts import (
    Budget,
    Pipeline,
    Problem,
    Run,
    Solution,
    TTSError,
)
from tts.backends import Cache, Given, Hedge, Limits, Retry
from tts.evals.bench.misbehaving import Misbehaving, is_overspent
from tts.layers import Account, Record, Trace
from tts.solver import Solver, open_solver
from tts.strategy import Strategy
from tts.testing import virtual_run

BOUND = 4 * 3600.0
"""Seconds of virtual time that no run may outlive."""
TOGETHER = 20
"""Runs at once on the same models."""
MUST_BE_ZERO = (
    "hangs", "late after cancelling", "permits left", "waiters left", "flights left", "tasks left",
    "reservations left", "calls left at the model", "overspent", "tokens charged wrongly",
    "candidates lost", "foreign errors",
)  # fmt: skip


class Mixed(Strategy, name="mixed"):
    """Samples, maps and single calls, with time limits and priorities; not all of them succeed."""

    salt: int

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Ask for this and that."""
        dice = Random(self.salt)

        async def line(index: int) -> str:
            first = await run.generate(f"step {index}", timeout=dice.uniform(0.5, 300.0))
            second = await run.candidate(f"then {first.text[:9]}", priority=dice.randrange(3))
            return second.answer or ""

        answers = await run.map(line, range(dice.randrange(1, 4)), failures="skip")
        async with run.sample("q", dice.randrange(1, 5)) as samples:
            async for candidate in samples:
                answers.append(candidate.answer)
        return Solution(answer=answers[-1])


@dataclass
class Soak:
    """Counts over all runs."""

    seed: int
    folder: Path
    tally: Counter[str] = field(default_factory=Counter)
    zero: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MUST_BE_ZERO, 0.0))
    calls: int = 0

    async def batch(self, index: int, runs: int) -> None:
        """Open one set of models, and let many runs loose on it."""
        dice = Random(f"{self.seed}|{index}")
        model = Misbehaving(Random(dice.random()), self.tally)
        provider = _provider(dice, model, self.folder / f"{index % 40}.sqlite")
        pipeline = Pipeline(models={"m": provider}, strategy="self_consistency")  # type: ignore[arg-type]  # parsed by the field
        async with open_solver(pipeline) as solver:
            model.accounts = solver.accounts
            accounts: list[Account] = []
            async with anyio.create_task_group() as tasks:
                for number in range(runs):
                    one = _pipeline(Random(f"{self.seed}|{index}|{number}"), provider)
                    single = Solver(one, solver.stacks)
                    single.accounts = solver.accounts
                    tasks.start_soon(self.one, single, accounts, Random(dice.random()))
            self._look_back(solver, model, accounts)

    async def one(self, solver: Solver, accounts: list[Account], dice: Random) -> None:
        """Start, perhaps cancel, and judge one run."""
        await anyio.sleep(dice.uniform(0.0, 120.0))
        records: list[Record] = []
        trace = Trace(records.append)
        dies = dice.choice([None, dice.uniform(0.0, 5.0), dice.expovariate(1 / 60)])
        began, solution = anyio.current_time(), None
        before = set(solver.accounts)
        with anyio.move_on_after(BOUND) as bound, anyio.CancelScope() as scope:
            if dies is not None:
                scope.deadline = began + dies
            solution = await self._solve(solver, trace, dice, before, accounts)
        ended = anyio.current_time()
        self.zero["hangs"] += bound.cancelled_caught
        self.zero["late after cancelling"] += dies is not None and ended > began + dies + 1e-6
        self.tally["run: cancelled"] += scope.cancelled_caught
        made = [record for record in records if record["event"] == "call"]
        self.calls += len(made)
        self.tally["call: cached"] += sum(record["cached"] for record in made)
        self.tally["call: hedged"] += sum(record["hedged"] for record in made)
        self.tally["call: sent more than once"] += sum(record["attempts"] > 1 for record in made)
        if solution is not None:
            self.tally[f"run: {solution.status}"] += 1
            self.zero["candidates lost"] += _lost(solver, solution, made)

    async def _solve(
        self,
        solver: Solver,
        trace: Trace,
        dice: Random,
        before: set[Account],
        accounts: list[Account],
    ) -> Solution | None:
        async def note() -> None:  # the account is there once the solve has begun
            await anyio.lowlevel.checkpoint()
            accounts.extend(solver.accounts - before - set(accounts))

        problem, seed = solver.pipeline.problem("what is it"), dice.randrange(30)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(note)
                solution = await solver.solve(problem, seed=seed, trace=trace)
        except BaseExceptionGroup as group:
            self._fail(group.exceptions[0])
            return None
        return solution

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, TTSError):
            self.zero["foreign errors"] += 1
            if not isinstance(error, Exception):
                raise error
        self.tally[f"run: failed with {type(error).__name__}"] += 1

    def _look_back(self, solver: Solver, model: Misbehaving, accounts: list[Account]) -> None:
        """Count what is left when all runs of a batch have ended."""
        stack = solver.stacks["m"]
        self.zero["permits left"] += solver.in_flight
        self.zero["waiters left"] += stack.limited.waiting
        self.zero["flights left"] += sum(len(getattr(one, "_flights", ())) for one in stack.layers)
        self.zero["tasks left"] += len(anyio.get_running_tasks()) - 1
        self.zero["reservations left"] += sum(account.promised != (0, 0, 0) for account in accounts)
        self.zero["calls left at the model"] += model.active
        self.zero["overspent"] += model.overspent + sum(map(is_overspent, accounts))
        charged = sum(account.spent.tokens for account in accounts)
        self.zero["tokens charged wrongly"] += abs(charged - model.spent)
        self.tally["tokens"] += model.spent


def _provider(dice: Random, model: Misbehaving, cache: Path) -> Given:
    """Return the model behind randomly chosen layers."""
    limits: list[dict[str, Any]] = [
        {}, {"rpm": 300}, {"tpm": 20_000}, {"rpm": 600, "tpm": 40_000, "concurrency": "auto"},
        {"concurrency": "auto"}, {"concurrency": 2},
    ]  # fmt: skip
    return Given(
        backend=model,
        concurrency=dice.choice([4, 64]),
        limits=Limits.model_validate(dice.choice(limits)),
        retry=Retry(attempts=dice.choice([1, 3, 5]), budget=dice.choice([0.0, 0.1, 1.0])),
        hedge=dice.choice([None, Hedge(quantile=0.7, extra=0.5, warm_up=5)]),
        cache=dice.choice([None, Cache(path=cache)]),
    )


def _pipeline(dice: Random, provider: Given) -> Pipeline:
    strategies: list[Any] = [
        {"use": "self_consistency", "samples": dice.randrange(1, 9), "stop": "never"},
        {"use": "self_consistency", "samples": dice.randrange(1, 12)},
        {"use": "best_of_n", "samples": dice.randrange(1, 5)},
        Mixed(salt=dice.randrange(10**6)),
    ]
    budget = Budget(
        total_tokens=dice.choice([None, 150, 400, 2000]),
        calls=dice.choice([None, None, 1, 5]),
        usd=dice.choice([None, None, 4e-4, 2e-3]),
        seconds=dice.choice([None, None, 5.0, 60.0]),
    )
    sampled = provider.model_copy(
        update={"sampling": provider.sampling.model_copy(update={"max_tokens": 40})}
    )
    return Pipeline(models={"m": sampled}, strategy=dice.choice(strategies), budget=budget)


def _lost(solver: Solver, solution: Solution, calls: list[Record]) -> int:
    """Count answers that were received and are not among the candidates of a full vote."""
    strategy = solver.pipeline.strategy.settings()
    if strategy["use"] != "self_consistency" or strategy["stop"]["use"] != "never":
        return 0
    answered = [call for call in calls if call["outcome"] in {"stop", "length"}]
    received: int = sum(call.get("n", 1) for call in answered)
    return abs(received - len(solution.candidates))


def soak(runs: int, seed: int) -> dict[str, Any]:
    """Do it; return the counts."""
    began = process_time()
    with tempfile.TemporaryDirectory() as folder:
        made = Soak(seed, Path(folder))
        for index, start in enumerate(range(0, runs, TOGETHER)):
            together = min(TOGETHER, runs - start)
            virtual_run(partial(made.batch, index, together))
    return {
        "runs": runs,
        "seed": seed,
        "calls": made.calls,
        "cpu_seconds": round(process_time() - began, 1),
        "must_be_zero": {name: made.zero[name] for name in MUST_BE_ZERO},
        "seen": dict(sorted(made.tally.items())),
    }


def main() -> None:
    """Soak and print; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    figures = soak(options.runs or (500 if options.quick else 10_000), options.seed)
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"{figures['runs']} runs, {figures['calls']} calls, seed {figures['seed']}, ", end="")
        print(f"{figures['cpu_seconds']} s of CPU\n")
        for part in ("seen", "must_be_zero"):
            print(part.replace("_", " "))
            for name, count in figures[part].items():
                print(f"  {name:<42} {count:>10.0f}")
    raise SystemExit(any(figures["must_be_zero"].values()))


if __name__ == "__main__":
    main()
