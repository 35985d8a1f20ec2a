"""What a problem costs beside its calls, here and on Ray workers, and what a second worker brings.

Run `python -m tts.evals.bench.ray_scaling [--quick] [--json]`; needs the extra `ray`.

`waiting` is a model that answers after a quarter of a second and costs no processor, as a server
does: each worker has eight problems under way. `bundled` is the bundled model, which needs a
processor for each worker. Rates are taken from the first row to the last, so that the start of the
workers is not in them; it is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from tts.backends.base import Given
from tts.evals.executor import Executor, Local
from tts.evals.harness import Harness
from tts.evals.ray_executor import RayExecutor
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.messages import Request
from tts.testing import ScriptedBackend

_AT_ONCE = 8
"""Problems under way on a worker."""


@dataclass(frozen=True)
class Measured:
    """One way to solve the problems."""

    model: str
    executor: str
    workers: int
    problems: int
    start_seconds: float
    """Until the first row."""
    per_second: float
    """Problems, from the first row to the last."""
    driver_cpu_ms: float
    """Processor time of this process for each problem; with `local`, of everything."""


def _same(request: Request) -> str:
    return "Answer: 4"


def _model(name: str) -> dict[str, Any]:
    if name == "bundled":
        return {"backend": "reference"}
    latency = 0.0 if name == "instant" else 0.25
    return {"models": {"model": Given(backend=ScriptedBackend(_same, latency=latency))}}


def _suite(folder: Path, model: str, problems: int, workers: int) -> Suite:
    lines = [
        {"id": str(index), "question": f"Facts:\nhats = {index}\nQuestion: hats?", "answer": "4"}
        for index in range(problems)
    ]
    path = folder / "problems.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return Suite.model_validate(
        {
            "tasks": [{"use": "jsonl", "path": str(path)}],
            "models": {"model": _model(model)},
            "strategies": {"vote": {"use": "self_consistency", "samples": 4, "stop": "never"}},
            "concurrency": _AT_ONCE * workers,
            "share": False,
        }
    )


def _measure(model: str, executor: Executor, workers: int, problems: int) -> Measured:
    times: list[float] = []

    def note(cell: Cell, row: Row) -> None:
        times.append(time.perf_counter())

    with TemporaryDirectory() as name:
        folder = Path(name)
        suite = _suite(folder, model, problems, workers)
        with RunStore(folder / "run.sqlite") as store:
            calls = folder / "calls.sqlite"
            harness = Harness(suite, calls, executor=executor, on_row=note)
            store.plan(harness.cells)
            began, cpu = time.perf_counter(), time.process_time()
            anyio.run(harness.run, store)
            cpu = time.process_time() - cpu
            if store.count() != problems:
                raise SystemExit(f"{store.count()} rows of {problems} problems")
    first, last = times[0], times[-1]
    return Measured(
        model=model,
        executor="local" if isinstance(executor, Local) else "ray",
        workers=workers,
        problems=problems,
        start_seconds=round(first - began, 2),
        per_second=round((problems - 1) / (last - first), 1),
        driver_cpu_ms=round(1000 * cpu / problems, 2),
    )


def _ways(quick: bool) -> list[Callable[[], Measured]]:
    few, some, many = (16, 32, 64) if quick else (48, 320, 1000)
    ways: list[Callable[[], Measured]] = []
    for model, problems in (("instant", many), ("waiting", some), ("bundled", few)):
        ways.append(partial(_measure, model, Local(), 1, problems))
        ways += [
            partial(_measure, model, RayExecutor(workers), workers, problems) for workers in (1, 2)
        ]
    return ways


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    found = []
    for way in _ways(arguments.quick):
        found.append(way())
        if not arguments.json:
            print(found[-1])
    ray.shutdown()
    if arguments.json:
        print(json.dumps([asdict(each) for each in found]))


if __name__ == "__main__":
    main()
