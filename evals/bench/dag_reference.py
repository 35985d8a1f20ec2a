"""The compiler on the bundled models' problems, beside solving at once and calling one by one.

    python -m tts.evals.bench.dag_reference [--json] [--quick] [--problems N] [--levels A B]

Held-out problems by the operations they take, half as facts and half as sentences; temperature 0.
The tools are add, sub and mul. `main` solves at once; `tools`, which was taught to call, plans and
calls one by one, and solves at once for comparison. The compiler's way out is closed, so that its
figures are its own. Differences are paired by problem, with 95% bootstrap intervals. Many problems
are solved at once; the seconds are of a few that are solved alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from typing import Any, Final, NamedTuple

import anyio
import numpy as np

from tts.equivalence import equivalent
from tts.evals.bench.reference_levels import problems_of
from tts.evals.statistics import bootstrap
from tts.pipeline import Pipeline
from tts.problem import Solution
from tts.solver import open_solver
from tts.tasks import for_each

LEVELS: Final = (1, 2, 3, 4, 6, 8)
ALONE: Final = 20
"""Problems that are solved one after the other, for their seconds."""
_DIRECT: Final = {"use": "self_consistency", "samples": 1, "stop": "never"}
_COMPILER: Final = {"use": "compiler", "tools": ["arithmetic"], "fallback": False}
_REACT: Final = {"use": "react", "tools": ["arithmetic"]}
WAYS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "direct": ("main", _DIRECT),
    "compiler": ("tools", _COMPILER),
    "react": ("tools", _REACT),
    "direct by tools": ("tools", _DIRECT),
    "compiler by main": ("main", _COMPILER),
}
"""The model and the strategy of each way; the first is what the others are compared with."""


class Found(NamedTuple):
    """What a way did with each problem."""

    hits: list[bool]
    solutions: list[Solution]
    alone: list[Solution]

    def figures(self, beside: Found) -> dict[str, Any]:
        """Return accuracy and costs, and the accuracy's difference to another way's."""
        usages = [one.usage for one in self.solutions]
        gains = np.array(self.hits, float) - np.array(beside.hits, float)
        return {
            "accuracy": round(statistics.fmean(self.hits), 3),
            "gain": asdict(bootstrap(gains)),
            "calls": round(statistics.fmean(each.calls for each in usages), 2),
            "total_tokens": round(statistics.fmean(each.total_tokens for each in usages)),
            "critical_tokens": round(statistics.fmean(each.critical_tokens for each in usages)),
            "wall_ms": round(1000 * statistics.median(o.usage.wall_seconds for o in self.alone)),
        }


async def _solved(name: str, texts: list[str]) -> tuple[list[Solution], list[Solution]]:
    """Solve all problems, many at once, and then the first few alone."""
    model, strategy = WAYS[name]
    sampling = {"max_tokens": 480, "temperature": 0.0}
    played = {"backend": "reference", "model": model, "sampling": sampling}
    pipeline = Pipeline.model_validate({"models": {"m": played}, "strategy": strategy})
    found: dict[int, Solution] = {}
    async with open_solver(pipeline) as solver:

        async def solve(place: int) -> None:
            found[place] = await solver.solve(pipeline.problem(texts[place]), seed=0)

        await for_each(solve, range(len(texts)))
        alone = [await solver.solve(pipeline.problem(text), seed=0) for text in texts[:ALONE]]
    return [found[place] for place in range(len(texts))], alone


def measured(level: int, count: int) -> dict[str, dict[str, Any]]:
    """Return the figures of every way on a level, `count` problems in each form."""
    drawn = [*problems_of(level, "facts", count), *problems_of(level, "sentences", count)]
    texts, right = [one.text for one in drawn], [str(one.answer) for one in drawn]
    found = {}
    for name in WAYS:
        solutions, alone = anyio.run(_solved, name, texts)
        hits = [
            one.answer is not None and equivalent(one.answer, answer)
            for one, answer in zip(solutions, right, strict=True)
        ]
        found[name] = Found(hits, solutions, alone)
    return {name: one.figures(found["direct"]) for name, one in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="8 problems on levels 1 and 3")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--levels", type=int, nargs="+", default=list(LEVELS))
    given = parser.parse_args()
    levels, count = ([1, 3], 4) if given.quick else (given.levels, given.problems // 2)
    figures = {level: measured(level, count) for level in levels}
    if given.json:
        print(json.dumps(figures))
        return
    for level, found in figures.items():
        print(f"{level} operations, {2 * count} problems")
        for name, part in found.items():
            gain = part["gain"]
            told = f"{100 * gain['mean']:+.1f} [{100 * gain['low']:.1f}, {100 * gain['high']:.1f}]"
            costs = (f"{key} {value}" for key, value in part.items() if key != "gain")
            print(f"  {name:<17}", f"gain {told}", *costs, sep="  ")


if __name__ == "__main__":
    main()
