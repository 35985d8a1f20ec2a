"""What the harness costs: CPU time a problem, and a call, beyond the solving itself.

    python -m tts.evals.bench.harness_overhead [--json] [--quick]

A model that answers at once is asked by self-consistency, plainly with `Solver.solve` and by the
harness: with every call kept, each row judged, traced and written to the disk. The difference is
the harness's; measured with 1 and with 9 samples it parts into what a problem costs (`problem_ms`:
one row) and what each of its calls costs (`call_us`: keeping it, its trace, its candidate).
`replayed`: all calls are answered by those kept, as after `--resume`. What a run costs once is left
out. Each time is the least of its repeats, since what else a machine does only adds; garbage
collection is included. `loop_ms` is what a million additions took in between, least and most:
machines differ by the least, and where the most is far off the machine was not quiet.
"""

from __future__ import annotations

import argparse
import json
import time
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

SIZES: Final = (1, 9)
FEW: Final = 20
"""Problems of the run that shows what a run costs once."""


def _strategy(samples: int) -> dict[str, Any]:
    return {"use": "self_consistency", "samples": samples, "stop": "never"}


async def plain_seconds(problems: int, samples: int) -> float:
    """Solve without the harness; return the seconds a problem."""
    pipeline = Pipeline(
        models={"m": Given(backend=_Instant(waits=False))},
        strategy=_strategy(samples),  # type: ignore[arg-type]  # parsed by the field
    )
    examples = Graphs(level=4, problems=problems).examples()
    async with open_solver(pipeline) as solver:
        began = time.process_time()
        for each in examples:
            await solver.solve(each.problem, seed=problem_seed(0, "graphs", each.id))
        return (time.process_time() - began) / problems


async def harness_seconds(folder: Path, name: str, problems: int, samples: int, keep: str) -> float:
    """Solve with it; rows of a strategy whose name is new are made from the kept calls."""
    suite = Suite.model_validate(
        {
            "tasks": [Graphs(level=4, problems=problems)],
            "models": {"m": {"models": {"m": Given(backend=_Instant(waits=False))}}},
            "strategies": {name: _strategy(samples)},
            "keep": keep,
            "concurrency": 1,
        }
    )
    with RunStore(folder / "run.sqlite") as store:
        harness = Harness(suite, folder / "calls.sqlite")
        store.plan(harness.cells)
        began = time.process_time()
        await harness.run(store)
        return time.process_time() - began


def times(problems: int, samples: int, keep: str) -> tuple[float, ...]:
    """Return seconds: plain ones a problem, with few problems and with many, first and again."""
    plain = anyio.run(plain_seconds, problems, samples)
    found = [plain]
    for count in (FEW, problems + FEW):
        with TemporaryDirectory() as folder:
            for name in ("first", "again"):
                run = partial(harness_seconds, Path(folder), name, count, samples, keep)
                found.append(anyio.run(run))
    return tuple(found)


def loop_seconds() -> float:
    """Add a million numbers: how fast the machine is at the moment."""
    began, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - began


def measure(problems: int, repeats: int, keep: str, loops: list[float]) -> dict[str, float]:
    """Part what is added into a problem's share and a call's."""
    found: dict[int, tuple[float, float]] = {}
    for samples in SIZES:
        every = []
        for _ in range(repeats):
            loops.append(loop_seconds())
            every.append(times(problems, samples, keep))
        plain, first, again, more_first, more_again = map(min, zip(*every, strict=True))
        found[samples] = (
            (more_first - first) / problems - plain,
            (more_again - again) / problems - plain,
        )
    figures: dict[str, float] = {}
    for place, name in enumerate(("", "_replayed")):
        low, high = (found[samples][place] for samples in SIZES)
        call = (high - low) / (SIZES[1] - SIZES[0])
        figures[f"problem{name}_ms"] = round(1e3 * (low - SIZES[0] * call), 3)
        figures[f"call{name}_us"] = round(1e6 * call, 1)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    problems, repeats = (100, 3) if options.quick else (100, 16)
    for count in (FEW, problems, problems + FEW):
        Graphs(level=4, problems=count).examples()  # drawn once, and remembered
    figures: dict[str, Any] = {"problems": problems}
    loops: list[float] = []
    for keep in ("texts", "trace", "answers"):
        figures[keep] = measure(problems, repeats, keep, loops)
    figures["loop_ms"] = [round(1e3 * each(loops), 1) for each in (min, max)]
    if options.json:
        print(json.dumps(figures))
        return
    print(
        f"CPU that the harness adds, by what is kept; {problems} problems, the least of {repeats}"
    )
    for keep in ("texts", "trace", "answers"):
        told = ", ".join(f"{name} {value}" for name, value in figures[keep].items())
        print(f"  {keep:8} {told}")
    least, most = figures["loop_ms"]
    print(f"  a million additions took {least} to {most} ms")


if __name__ == "__main__":
    main()
