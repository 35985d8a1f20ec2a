"""What the harness costs: CPU time a problem, beyond the solving itself.

    python -m tts.evals.bench.harness_overhead [--json] [--quick]

A model that answers at once is asked by self-consistency with 8 samples, plainly with
`Solver.solve`, and by the harness: with every call kept, each row judged, traced and written to the
disk. The difference is the harness's. `per_problem_*_ms` is what a problem takes in all;
`overhead_*_ms` the difference, for each amount that a suite may keep, and where all calls are
answered by those kept (as after `--resume`, or where strategies share). Medians over repeats;
garbage collection included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio

from tts import Pipeline
from tts.backends import Given
from tts.evals.bench.call_overhead import _Instant
from tts.evals.harness import Harness
from tts.evals.solving import problem_seed
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.evals.tasks.graphs import Graphs
from tts.solver import open_solver

SAMPLES: Final = 8
STRATEGY: Final = {"use": "self_consistency", "samples": SAMPLES, "stop": "never"}


async def plain_seconds(problems: int) -> float:
    """Solve without the harness."""
    pipeline = Pipeline(
        models={"m": Given(backend=_Instant(waits=False))},
        strategy=STRATEGY,  # type: ignore[arg-type]  # parsed by the field
    )
    examples = Graphs(level=4, problems=problems).examples()
    async with open_solver(pipeline) as solver:
        began = time.process_time()
        for each in examples:
            await solver.solve(each.problem, seed=problem_seed(0, "graphs", each.id))
        return (time.process_time() - began) / problems


async def harness_seconds(
    folder: Path, problems: int, keep: str, strategies: Sequence[str]
) -> float:
    """Solve with it; rows of a strategy whose name is new are made from kept calls."""
    suite = Suite.model_validate(
        {
            "tasks": [Graphs(level=4, problems=problems)],
            "models": {"m": {"models": {"m": Given(backend=_Instant(waits=False))}}},
            "strategies": dict.fromkeys(strategies, STRATEGY),
            "keep": keep,
            "concurrency": 1,
        }
    )
    with RunStore(folder / "run.sqlite") as store:
        harness = Harness(suite, store, folder / "calls.sqlite")
        store.plan(harness.cells)
        began = time.process_time()
        await harness.run()
        return (time.process_time() - began) / problems


def measured(problems: int, keep: str) -> tuple[float, float]:
    """Return the seconds a problem of a first run, and of one whose calls are all kept."""
    with TemporaryDirectory() as name:
        run = partial(anyio.run, harness_seconds, Path(name), problems, keep)
        return run(["first"]), run(["again"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    problems, repeats = (100, 3) if options.quick else (400, 7)
    Graphs(level=4, problems=problems).examples()  # drawn once, and remembered
    plain = statistics.median(anyio.run(plain_seconds, problems) for _ in range(repeats))
    figures: dict[str, Any] = {
        "problems": problems,
        "samples": SAMPLES,
        "per_problem_plain_ms": round(1e3 * plain, 3),
    }
    for keep in ("texts", "trace", "answers"):
        pairs = [measured(problems, keep) for _ in range(repeats)]
        first, again = (statistics.median(each) for each in zip(*pairs, strict=True))
        figures[f"per_problem_{keep}_ms"] = round(1e3 * first, 3)
        figures[f"overhead_{keep}_ms"] = round(1e3 * (first - plain), 3)
        figures[f"overhead_{keep}_replayed_ms"] = round(1e3 * (again - plain), 3)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"CPU ms a problem of {SAMPLES} samples, {problems} problems, median of {repeats}")
    for name, value in figures.items():
        print(f"  {name:32} {value}")


if __name__ == "__main__":
    main()
