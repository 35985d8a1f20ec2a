"""What the library itself costs: CPU time of one `run.generate` with a model that answers at once.

Measured twice. `generate_cpu_us`: the model never waits, so each call ends before the next one
starts. `generate_cpu_us_in_flight`: the model yields to the event loop once, so all lines have a
call in flight; what the same yields cost by themselves is subtracted.

Also the cold import (`import_s`: as this environment keeps byte code; `import_s_compiled`: with
byte code, as in an installed package), and what 1,000 cancelled runs leave behind.

    python -m tts.evals.bench.call_overhead [--json] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from tempfile import TemporaryDirectory

import anyio
from anyio.lowlevel import checkpoint

from tts import Budget, Completion, Pipeline, Problem, Request, Solution, Trace, Usage
from tts.backends import Capabilities, Given, Meter, Price
from tts.layers import Account, Record
from tts.run import Run
from tts.solver import Solver, open_solver
from tts.strategy import Strategy
from tts.testing import ScriptedBackend

CONCURRENCY = 32


class _Instant:
    """A backend that does nothing but answer.

    Args:
        waits: Let the others run first.
    """

    name = "instant"
    capabilities = Capabilities(seed=True)
    price = Price(input=0.0, output=0.0)

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self.active = self.most_active = 0
        self._completion = Completion(
            text="Answer: 7", usage=Usage(prompt_tokens=20, completion_tokens=4), model=self.name
        )

    def prompt_tokens(self, request: Request) -> int:
        return 20

    async def generate(self, request: Request, meter: Meter) -> Completion:
        if self._waits:
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            await asyncio.sleep(0)
            self.active -= 1
        return self._completion


class _Calls(Strategy, name="calls"):
    """Makes calls in parallel lines; reports the CPU time between first and last."""

    calls: int
    waits: bool

    async def solve(self, problem: Problem, run: Run) -> Solution:
        prompt = run.prompt("solve", problem=problem)

        async def line(_: int) -> None:
            for _ in range(self.calls // CONCURRENCY):
                await run.generate(prompt)

        async def bare(_: int) -> None:
            for _ in range(self.calls // CONCURRENCY if self.waits else 0):
                await asyncio.sleep(0)

        spent = await _cpu_seconds(run, line) - await _cpu_seconds(run, bare)
        return Solution(answer=str(spent / (self.calls // CONCURRENCY * CONCURRENCY)))


async def _cpu_seconds(run: Run, line: Callable[[int], Awaitable[None]]) -> float:
    began = time.process_time()
    await run.map(line, range(CONCURRENCY))
    return time.process_time() - began


async def _generate_seconds(calls: int, repeats: int, *, waits: bool) -> list[float]:
    backend = _Instant(waits=waits)
    pipeline = Pipeline(
        models={"m": Given(backend=backend)},
        strategy=_Calls(calls=calls, waits=waits),
        budget=Budget(total_tokens=10**9, calls=10**8, seconds=3600, usd=1000.0),
    )
    results = []
    async with open_solver(pipeline) as solver:
        for _ in range(repeats):
            records: list[Record] = []
            problem = pipeline.problem("What is 3 + 4?")
            solution = await solver.solve(problem, trace=Trace(records.append))
            results.append(float(solution.answer or "nan"))
    assert backend.most_active == (CONCURRENCY if waits else 0)
    return results


def _import_seconds(repeats: int, environment: Mapping[str, str]) -> float:
    """Wall time of a new interpreter that imports tts, less that of one that does nothing."""

    def wall(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return time.perf_counter() - began

    return min(wall("import tts") for _ in range(repeats)) - min(
        wall("pass") for _ in range(repeats)
    )


def _compiled_import_seconds(repeats: int) -> float:
    """The same where all byte code is kept, as in an installed package."""
    with TemporaryDirectory() as folder:
        kept = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        return _import_seconds(max(2, repeats), kept)  # the first one compiles


async def _leftovers(runs: int) -> dict[str, float]:
    """Cancel runs at moments spread over their duration; count what stays behind."""
    backend = ScriptedBackend(lambda request: "Answer: 7", latency=lambda r: (r.ticket % 7) / 2000)
    pipeline = Pipeline(
        models={"m": Given(backend=backend, concurrency=4)},
        strategy={"use": "self_consistency", "samples": 8, "stop": "never"},  # type: ignore[arg-type]  # parsed by the field
        budget=Budget(total_tokens=10**6),
    )
    left = {"tasks": 0.0, "permits": 0.0, "reservations": 0.0, "cancelled": 0.0}
    async with open_solver(pipeline) as solver:
        for index in range(runs):
            account = await _cancel_one(solver, pipeline.problem("q"), (index % 97) / 20000)
            left["cancelled"] += account is not None
            left["reservations"] += account or 0.0
            left["permits"] += solver.in_flight
    left["tasks"] = len(anyio.get_running_tasks()) - 1 + backend.active
    return left


async def _cancel_one(solver: Solver, problem: Problem, after: float) -> float | None:
    """Return what the cancelled run's account still promised; None if it finished first."""
    seen: list[Account] = []
    with anyio.move_on_after(after) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(solver.solve, problem)
            await checkpoint()
            seen.extend(solver.accounts)
    return sum(a.promised.calls for a in seen) if scope.cancelled_caught else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    calls, repeats = (3_200, 3) if options.quick else (32_000, 7)
    seconds, in_flight = (
        anyio.run(partial(_generate_seconds, calls, repeats, waits=waits))
        for waits in (False, True)
    )
    figures = {
        "generate_cpu_us": round(1e6 * statistics.median(seconds), 1),
        "generate_cpu_us_best": round(1e6 * min(seconds), 1),
        "generate_cpu_us_in_flight": round(1e6 * statistics.median(in_flight), 1),
        "concurrency": CONCURRENCY,
        "import_s": round(_import_seconds(3 if options.quick else 10, os.environ), 3),
        "import_s_compiled": round(_compiled_import_seconds(3 if options.quick else 10), 3),
        "left_after_cancelling": anyio.run(_leftovers, 100 if options.quick else 1000),
    }
    if options.json:
        print(json.dumps(figures))
        return
    print(f"run.generate, budget and trace on, {CONCURRENCY} lines: CPU us a call")
    print(f"  one at a time     {figures['generate_cpu_us']}")
    print(f"  best              {figures['generate_cpu_us_best']}")
    print(f"  all in flight     {figures['generate_cpu_us_in_flight']}")
    print(f"cold import, s      {figures['import_s']}")
    print(f"  with byte code    {figures['import_s_compiled']}")
    print(f"after cancelled runs {figures['left_after_cancelling']}")


if __name__ == "__main__":
    main()
