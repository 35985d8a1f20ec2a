"""Each topology on the bundled model's problems: what a policy of routing can gain, and learns.

    python -m tts.evals.bench.topology [--json] [--quick] [--problems N] [--levels A B]
        [--out FILE.json]

Every problem is decomposed once and worked in all four topologies, one round each. `--out` keeps
the outcomes, as the policy `learned` reads them. Policies are compared on the odd problems; the
learned one has seen the even ones only. Differences are paired by problem, with 95% bootstrap
intervals. Against self-consistency the bench `strategies` compares.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import numpy as np

from tts import Pipeline, Problem, Strategy
from tts.answers import canonical
from tts.backends import Given
from tts.backends.reference.backend import ReferenceBackend
from tts.evals.bench.reference_levels import WEIGHTS
from tts.evals.bench.remembering import Remembering
from tts.evals.bench.strategies import BATCH, SAMPLING, tasks_of
from tts.evals.bench.strategy_rows import Task
from tts.evals.statistics import bootstrap
from tts.graph import Features
from tts.routing import TOPOLOGIES, Learned, Measured, Outcome, Policy, Published
from tts.solver import open_solver
from tts.tasks import for_each


class Tried(NamedTuple):
    """A problem in all topologies: hits and tokens of each, and the shape if there was a plan."""

    task: Task
    hits: dict[str, float]
    tokens: dict[str, float]
    shape: Features | None

    def outcomes(self) -> list[Outcome]:
        """Return what a policy can learn from it."""
        return [
            Outcome(
                shape=self.shape,
                topology=name,
                accuracy=self.hits[name],
                total_tokens=self.tokens[name],
            )
            for name in TOPOLOGIES
            if self.shape is not None
        ]

    def under(self, policy: Policy) -> tuple[float, float]:
        """Return hit and tokens under a policy; without a plan all topologies are the same."""
        name = policy.choose(self.shape) if self.shape else TOPOLOGIES[0]
        return self.hits[name], self.tokens[name]


async def _try(
    task: Task, backend: ReferenceBackend, slots: anyio.Semaphore, found: dict[str, Tried]
) -> None:
    async with slots:
        model = Given(backend=Remembering(backend), concurrency=1024, sampling=SAMPLING)
        hits, tokens, shape = dict[str, float](), dict[str, float](), None
        for name in TOPOLOGIES:
            policy = {"use": "always", "topology": name}
            strategy = Strategy.parse({"use": "topology", "policy": policy, "max_rounds": 1})
            pipeline = Pipeline(models={"m": model}, strategy=strategy)
            async with open_solver(pipeline) as solver:
                solution = await solver.solve(Problem(text=task.text), seed=0)
            answer = solution.answer and canonical(solution.answer)
            hits[name] = float(answer == task.right)
            tokens[name] = float(solution.usage.total_tokens)
            if "tasks" in solution.notes:
                shape = _shape(solution.notes)
        found[task.id] = Tried(task, hits, tokens, shape)


def _shape(notes: dict[str, float]) -> Features:
    counts = {name: int(notes[name]) for name in ("tasks", "edges", "omega")}
    return Features(**counts, depth=notes["depth"], gamma=notes["gamma"])


async def _try_all(tasks: Sequence[Task], folder: Path) -> list[Tried]:
    backend, found = ReferenceBackend(folder=folder, max_batch=BATCH), dict[str, Tried]()
    slots = anyio.Semaphore(24)
    await for_each(partial(_try, backend=backend, slots=slots, found=found), tasks)
    return [found[task.id] for task in tasks]


def compared(tried: Sequence[Tried], price: float) -> dict[str, Any]:
    """Return each policy's accuracy and tokens on the odd problems, beside the published rule's."""
    rows = tuple(row for each in tried[::2] for row in each.outcomes())
    learned = Learned(measured=Measured(rows=rows), price=price)
    policies: dict[str, Policy] = {
        "published": Published(),
        "learned": learned,
        **{name: Policy.parse({"use": "always", "topology": name}) for name in TOPOLOGIES},
    }
    scores = {
        name: np.array([each.under(policy) for each in tried[1::2]])
        for name, policy in policies.items()
    }
    best = np.array([max(each.hits.values()) for each in tried[1::2]])
    usual = scores["published"]
    return {
        "problems": len(best),
        "planned": float(np.mean([each.shape is not None for each in tried])),
        "any_topology_right": float(best.mean()),
        "policies": {
            name: {
                "accuracy": asdict(bootstrap(score[:, 0])),
                "total_tokens": float(score[:, 1].mean()),
                "over_published": asdict(bootstrap(score[:, 0] - usual[:, 0])),
            }
            for name, score in scores.items()
        },
    }


def main() -> None:
    """Measure, print, keep the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="8 problems a level")
    parser.add_argument("--problems", type=int, default=200, help="a level, both forms together")
    parser.add_argument("--levels", type=int, nargs="+", default=[3, 6])
    parser.add_argument("--price", type=float, default=0.0, help="accuracy a thousand tokens buy")
    parser.add_argument("--out", type=Path, help="where the outcomes are kept")
    given = parser.parse_args()
    count = 8 if given.quick else given.problems
    figures, rows = dict[int, Any](), list[Outcome]()
    for level in given.levels:
        tried = anyio.run(_try_all, tasks_of(level, "develop", count), WEIGHTS)
        figures[level] = compared(tried, given.price)
        rows += [row for each in tried for row in each.outcomes()]
    if given.out:
        given.out.write_text(Measured(rows=tuple(rows)).model_dump_json())
    if given.json:
        print(json.dumps(figures))
        return
    for level, found in figures.items():
        print(
            f"\nLevel {level}: {found['problems']} problems, {found['planned']:.2f} planned, "
            f"{found['any_topology_right']:.3f} right in some topology"
        )
        print("\n| policy | accuracy | total tokens | over published |\n| --- | --- | --- | --- |")
        for name, part in found["policies"].items():
            told = [
                " ".join(f"{100 * part[key][end]:.1f}" for end in ("mean", "low", "high"))
                for key in ("accuracy", "over_published")
            ]
            print(f"| {name} | {told[0]} | {part['total_tokens']:.0f} | {told[1]} |")


if __name__ == "__main__":
    main()
