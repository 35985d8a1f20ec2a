"""Every strategy against self-consistency at equal cost, on the bundled model's own problems.

    python -m tts.evals.bench.strategies [--json] [--quick] [--problems N] [--levels A B]
        [--split develop|test] [--strategies NAME ...] [--settings FILE.yaml] [--out DIR]

Two matches: equal total tokens, and equal critical tokens; how is told in `tts.evals.equal`. Every
difference is paired by problem and has a 95% bootstrap interval over problems. Strategies share the
samples that they draw alike, and pay for them alike.

Finished problems are kept in OUT, a file a strategy, named by a digest of its settings and the
weights: a run that was killed, or one with other strategies, goes on where it stood. After a change
of the library's own code, begin with another OUT.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import yaml

from tts import Pipeline, Problem, Sampling, Solution, Strategy, TTSError
from tts.answers import canonical
from tts.backends import Given
from tts.backends.reference.backend import ReferenceBackend
from tts.backends.reference.training import world
from tts.backends.reference.training.wording import FORMS
from tts.evals.bench.reference_levels import WEIGHTS
from tts.evals.bench.remembering import Remembering
from tts.evals.bench.strategy_report import report, show
from tts.evals.bench.strategy_rows import POOL, Entry, Store, Task
from tts.evals.bench.strategy_settings import SETTINGS
from tts.solver import open_solver
from tts.tasks import for_each

SAMPLING: Final = Sampling(temperature=0.8, max_tokens=250)
BATCH: Final = 128


def tasks_of(level: int, split: str, count: int) -> list[Task]:
    """Return the first problems of a level, forms in turn; the splits share none."""
    rng = {name: random.Random(f"strategies:{name}:{level}") for name in ("develop", "test")}
    drawn: dict[str, list[world.Problem]] = {"develop": [], "test": []}
    seen: set[str] = set()
    while len(drawn[split]) < count:
        for name, problems in drawn.items():
            form = FORMS[len(problems) % 2]
            problem = world.draw_problem(rng[name], level, form, "test")
            if problem.text not in seen:
                seen.add(problem.text)
                problems.append(problem)
    return [
        Task(f"{level}-{at}", level, problem.text, str(problem.answer))
        for at, problem in enumerate(drawn[split])
    ]


def entries_of(
    names: Sequence[str] | None, settings: Mapping[str, Any], pool: int, folder: Path, salt: str
) -> list[Entry]:
    """Return the pool and the chosen strategies, in the order in which they are run."""
    baseline = {"use": "self_consistency", "samples": pool, "stop": "never"}
    everything = {**settings, POOL: baseline}
    unknown = set(names or ()) - set(settings)
    if unknown:
        raise SystemExit(
            f"no settings for {', '.join(sorted(unknown))}; known: {', '.join(settings)}"
        )
    found = []
    for name in [*(names or settings), POOL]:
        strategy = Strategy.parse(everything[name])
        store = Store(folder, name, strategy.settings(), salt)
        found.append(Entry(name, strategy, store))
    return sorted(found, key=lambda entry: -entry.detail)


def row_of(task: Task, entry: Entry, solution: Solution | None) -> dict[str, Any]:
    """Return what is kept of a solution; None if every call failed."""
    if solution is None:
        return {"id": task.id, "answer": None, "failed": True}
    answers = [candidate.key for candidate in solution.candidates]
    row = {
        "id": task.id,
        "answer": solution.answer and canonical(solution.answer),
        "oracle": task.right in answers,
        "samples": len(answers),
        "parse_failures": solution.parse_failures,
        "failed_calls": solution.failed_calls,
        **solution.usage.model_dump(include={"calls", "total_tokens", "critical_tokens"}),
    }
    if entry.name == POOL:
        row["answers"], row["right"] = answers, task.right  # as `tts plan` reads it
        row["costs"] = [each.completion.usage.total_tokens for each in solution.candidates]
    return row


async def run_task(
    task: Task, entries: Sequence[Entry], backend: ReferenceBackend, slots: anyio.Semaphore
) -> None:
    """Let all entries that have not yet solved a problem solve it, one after the other."""
    async with slots:
        model = Given(backend=Remembering(backend), concurrency=1024, sampling=SAMPLING)
        seed = int.from_bytes(hashlib.sha256(task.text.encode()).digest()[:4], "big") >> 1
        for entry in entries:
            if task.id in entry.store.rows:
                continue
            pipeline = Pipeline(models={"reference": model}, strategy=entry.strategy)
            solution = None
            async with open_solver(pipeline) as solver:
                try:
                    solution = await solver.solve(Problem(text=task.text), seed=seed)
                except TTSError as error:
                    print(f"{entry.name} on {task.id}: {error}", flush=True)
            entry.store.add(row_of(task, entry, solution))


async def run_all(
    tasks: Sequence[Task], entries: Sequence[Entry], folder: Path, together: int
) -> None:
    """Solve everything that is missing, many problems in flight."""
    backend = ReferenceBackend(folder=folder, max_batch=BATCH)
    slots = anyio.Semaphore(together)
    await for_each(partial(run_task, entries=entries, backend=backend, slots=slots), tasks)


def main() -> None:
    """Read the command line, solve what is missing, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="24 problems a level, a pool of 16")
    parser.add_argument("--problems", type=int, default=500, help="a level, both forms together")
    parser.add_argument("--levels", type=int, nargs="+", default=[6, 8])
    parser.add_argument("--split", choices=["develop", "test"], default="develop")
    parser.add_argument("--strategies", nargs="+", help="names of settings; default all")
    parser.add_argument("--settings", type=Path, help="YAML: more settings by name, as in `use:`")
    parser.add_argument("--pool", type=int, default=64, help="samples a problem for the baseline")
    parser.add_argument("--out", type=Path, default=Path("build/strategies"))
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="of the weights")
    parser.add_argument("--concurrency", type=int, default=48, help="problems in flight")
    given = parser.parse_args()
    count, pool = (24, 16) if given.quick else (given.problems, given.pool)
    settings = dict(SETTINGS)
    if given.settings:
        settings |= yaml.safe_load(given.settings.read_text())
    folder = given.out / given.split
    folder.mkdir(parents=True, exist_ok=True)
    weights = hashlib.sha256((given.folder / "model.safetensors").read_bytes()).hexdigest()
    salt = f"{weights} {SAMPLING}"
    entries = entries_of(given.strategies, settings, pool, folder, salt)
    tasks = [task for level in given.levels for task in tasks_of(level, given.split, count)]
    started, spent = time.monotonic(), time.process_time()
    anyio.run(run_all, tasks, entries, given.folder, given.concurrency)
    results, alone = report(tasks, entries)
    seconds = {"seconds": time.monotonic() - started, "cpu": time.process_time() - spent}
    if given.json:
        used = {entry.name: entry.strategy.settings() for entry in entries}
        print(
            json.dumps(
                {
                    **seconds,
                    "split": given.split,
                    "settings": used,
                    "self_consistency": alone,
                    "results": [asdict(r) for r in results],
                }
            )
        )
    else:
        show(results, alone)
        print(
            f"\n{given.split}, {count} problems a level, pool of {pool}; {seconds['seconds']:.0f} s"
        )


if __name__ == "__main__":
    main()
