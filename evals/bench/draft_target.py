"""Draft and target: how long it takes, how well it keeps its rate, and what it brings.

    python -m tts.evals.bench.draft_target [--json] [--quick] [--problems N] [--level L]
        [--draft FOLDER] [--seeds N] [--parts times drift accuracy]

*times*: virtual time, lognormal latencies, the same work; against the barrier in every turn.
*drift*: takeover rates by turn on scores that drift: by the published recipe, by one controller on
a whole stream, and by the strategy, problem by problem and carried from problem to problem.
*accuracy*: the bundled model as target, on its own problems, against the target's samples alone at
equal cost, by three counts: tokens that the target writes; written tokens of both, the draft's
weighed by its share of layers; all tokens that are read or written, weighed likewise. Gains are
paired by problem, with 95% bootstrap intervals. Without a draft model, the target at a hotter
temperature drafts, and its tokens weigh as much as the target's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import anyio
import numpy as np

from tts import Pipeline, Problem, Sampling, Solution
from tts.answers import canonical
from tts.backends import Given
from tts.backends.reference.backend import ReferenceBackend
from tts.backends.reference.bundled import MAIN, bundled, in_folder, names
from tts.backends.reference.weights import load_config
from tts.evals.bench.draft_target_drift import STREAMS, on_stream
from tts.evals.bench.draft_target_times import times
from tts.evals.bench.strategies import tasks_of
from tts.evals.bench.strategy_rows import Task
from tts.evals.bench.turn_drift import RATE, drifting, kept, published
from tts.evals.equal import compare
from tts.evals.pools import Pool, curves
from tts.evals.statistics import bootstrap
from tts.layers import Trace
from tts.solver import open_solver
from tts.stopping.takeovers import RateController
from tts.stopping.turn_scores import BUCKETS
from tts.tasks import for_each

SAMPLING: Final = Sampling(temperature=0.8, max_tokens=250)
HOTTER: Final = Sampling(temperature=1.3, max_tokens=250)
POOL: Final = 16
_BOTH: Final = {"use": "draft_target", "samples": 8, "chunk": 18}
_ALONE: Final = {"use": "self_consistency", "stop": "never"}
ENTRIES: Final[dict[str, dict[str, Any]]] = {
    "target_only": {**_ALONE, "samples": POOL},
    "draft_only": {**_ALONE, "samples": 8},
    "append": _BOTH,
    "replace": {**_BOTH, "takeover": "replace"},
    "replace_few": {**_BOTH, "takeover": "replace", "rate": 0.2},
    "barrier": {**_BOTH, "takeover": "replace", "mode": "rank_then_select"},
}
COSTS: Final = ("target_written", "written", "all")


def drift(problems: int, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return takeover rates by bucket of turns, a row for each recipe and seed."""
    rows = []
    for seed in seeds:
        stream = drifting(seed, problems)
        controller = RateController(RATE, lag=16, step=0.1, window=400)
        static = published(stream, drifting(1000 + seed, problems))
        for recipe, rates in (("published", static), ("kept", kept(stream, controller))):
            worst = max(abs(rate - RATE) for rate in rates)
            rows.append({"seed": seed, "recipe": recipe, "rates": rates, "worst": worst})
        for recipe, settings in STREAMS.items():
            found, worst = on_stream(seed, problems, settings)
            rates = [each.takeovers / each.decisions for each in found]
            row = {"seed": seed, "recipe": recipe, "rates": rates, "worst": worst}
            rows.append({**row, "bounds": [each.bound for each in found]})
    return rows


class _Work:
    """Solves problems with every entry, and keeps answers and costs."""

    def __init__(self, draft: Path | None) -> None:
        files = bundled("draft") if draft is None and "draft" in names() else None
        files = in_folder(draft) if draft is not None else files
        large = ReferenceBackend(max_batch=128)
        self.share, sampling, small = 1.0, HOTTER, large
        if files is not None:
            layers = [load_config(one.config).num_hidden_layers for one in (files, bundled(MAIN))]
            self.share, sampling = layers[0] / layers[1], SAMPLING
            known: dict[str, Any] = {"folder": draft} if draft is not None else {"model": "draft"}
            small = ReferenceBackend(max_batch=128, **known)
        self.models = {
            "small": Given(backend=small, concurrency=1024, sampling=sampling),
            "large": Given(backend=large, concurrency=1024, sampling=SAMPLING),
        }
        self.rows: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def pipeline(self, name: str) -> Pipeline:
        alone = {"target_only": "large", "draft_only": "small"}.get(name)
        roles = {"solve": alone} if alone else {"draft": "small", "target": "large"}
        return Pipeline(models=self.models, roles=roles, strategy=ENTRIES[name])  # type: ignore[arg-type]  # parsed by the field

    async def solve(self, task: Task, name: str) -> None:
        seed = int.from_bytes(hashlib.sha256(task.text.encode()).digest()[:4], "big") >> 1
        calls: list[dict[str, Any]] = []
        async with open_solver(self.pipeline(name)) as solver:
            solution = await solver.solve(
                Problem(text=task.text), seed=seed, trace=Trace(calls.append)
            )
        self.rows[name][task.id] = self._row(name, task, solution, calls)

    def _row(
        self, name: str, task: Task, solution: Solution, records: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        spent: dict[str, list[int]] = {"draft": [0, 0], "target": [0, 0]}
        for call in records:
            if call["event"] == "call":
                by_draft = name == "draft_only" or call["role"] == "draft"
                role = "draft" if by_draft else "target"
                spent[role][0] += call["prompt_tokens"]
                spent[role][1] += call["completion_tokens"]
        (read_draft, draft), (read_target, target) = spent["draft"], spent["target"]
        return {
            "right": float(
                solution.answer is not None and canonical(solution.answer) == task.right
            ),
            "answers": [candidate.key for candidate in solution.candidates],
            "samples": [candidate.completion.usage for candidate in solution.candidates],
            "target_written": target,
            "written": target + self.share * draft,
            "all": read_target + target + self.share * (read_draft + draft),
            "critical_tokens": solution.usage.critical_tokens,
            "takeover_rate": solution.notes.get("takeovers", 0.0)
            / max(1.0, solution.notes.get("decisions", 0.0)),
        }


def accuracy(level: int, problems: int, draft: Path | None) -> list[dict[str, Any]]:
    """Return a row for each entry: accuracy, costs, and gains over the target's samples alone."""
    work, tasks = _Work(draft), tasks_of(level, "test", problems)
    slots = anyio.Semaphore(16)

    async def solve_all(name: str) -> None:
        async def solve(at: int) -> None:
            async with slots:
                await work.solve(tasks[at], name)

        await for_each(solve, range(len(tasks)))

    rows = []
    for name in ENTRIES:
        began = time.process_time()
        anyio.run(solve_all, name)
        own = [work.rows[name][task.id] for task in tasks]
        alone = [work.rows["target_only"][task.id] for task in tasks]
        rows.append(
            {
                "entry": name,
                "accuracy": astuple(bootstrap(np.array([row["right"] for row in own]))),
                **{
                    key: sum(row[key] for row in own) / len(own)
                    for key in (*COSTS, "critical_tokens", "takeover_rate")
                },
                "gains": {cost: _gain(cost, own, alone, tasks) for cost in COSTS},
                "cpu_seconds": time.process_time() - began,
            }
        )
    return rows


def _gain(
    cost: str,
    own: Sequence[Mapping[str, Any]],
    alone: Sequence[Mapping[str, Any]],
    tasks: Sequence[Task],
) -> dict[str, Any]:
    """Return the gain over as many samples of the target as cost the same, paired by problem."""
    pools = []
    for row, task in zip(alone, tasks, strict=True):
        is_all = cost == "all"
        costs = [one.total_tokens if is_all else one.completion_tokens for one in row["samples"]]
        pools.append(Pool(tuple(row["answers"]), task.right, tuple(costs)))
    known = curves(pools)
    right, spent = (np.array([float(row[key]) for row in own]) for key in ("right", cost))
    found = compare(right, spent, known.accuracy, known.total)
    return {
        "samples": found.match.samples,
        "note": found.match.note,
        "alone": astuple(found.baseline),
        "gain": astuple(found.gain),
    }


def _show(found: Mapping[str, Any]) -> None:
    for row in found.get("times", ()):
        print(
            "sigma {sigma:g}  {mode:<12} {seconds:8.1f} s a problem (x{latency_ratio:.2f})  "
            "{problems_a_second:.4f} a second at once (x{throughput_ratio:.2f})  "
            "takeovers {takeovers:.3f}".format(**row)
        )
    if "drift" in found:
        print(f"\ntakeover rates from turn {', '.join(map(str, BUCKETS))}; {RATE} is meant")
    for row in found.get("drift", ()):
        rates = "  ".join(f"{rate:.3f}" for rate in row["rates"])
        each = (f"{bound:.3f}" if bound < 1.0 else "-" for bound in row.get("bounds", ()))
        bounds = "  ".join(each)
        told = f"   bounds {bounds}" if bounds else ""
        print(f"seed {row['seed']:<3}{row['recipe']:<22}{rates}   worst {row['worst']:.3f}{told}")
    for row in found.get("accuracy", ()):
        costs = "  ".join(f"{cost} {row[cost]:.0f}" for cost in COSTS)
        print(
            f"\n{row['entry']:<12} accuracy {_interval(row['accuracy'])}  {costs}  "
            f"critical {row['critical_tokens']:.0f}  takeovers {row['takeover_rate']:.3f}"
        )
        for cost, gain in row["gains"].items():
            print(
                f"   at equal {cost:<15} {gain['samples']:5.2f} samples alone "
                f"{_interval(gain['alone'])}  gain {_interval(gain['gain'])} {gain['note']}"
            )


def _interval(interval: Sequence[float]) -> str:
    mean, low, high = (100.0 * each for each in interval[:3])
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="few problems, two spreads, one seed")
    parser.add_argument("--problems", type=int, default=100, help="for accuracy")
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--draft", type=Path, help="folder of the draft's weights")
    parser.add_argument("--seeds", type=int, default=5, help="streams, for drift")
    parser.add_argument("--parts", nargs="+", default=["times", "drift", "accuracy"])
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if "times" in asked.parts:
        sigmas = (0.5, 1.0) if asked.quick else (0.0, 0.5, 1.0, 1.5)
        found["times"] = [row for sigma in sigmas for row in times(sigma, 6 if asked.quick else 24)]
    if "drift" in asked.parts:
        found["drift"] = drift(60 if asked.quick else 200, range(1 if asked.quick else asked.seeds))
    if "accuracy" in asked.parts:
        count = 8 if asked.quick else asked.problems
        found["accuracy"] = accuracy(asked.level, count, asked.draft)
    if asked.json:
        print(json.dumps(found))
    else:
        _show(found)


if __name__ == "__main__":
    main()
