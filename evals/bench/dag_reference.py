"""The compiler on the bundled model's problems, beside solving at once and calling one by one.

Held-out problems by the operations they take, in both forms. The tools are add, sub and mul. The
way out of the compiler is closed, so that its figures are its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import anyio

from tts.equivalence import equivalent
from tts.evals.bench.reference_levels import problems_of
from tts.pipeline import Pipeline
from tts.problem import Solution
from tts.solver import open_solver

LEVELS = (1, 2, 3, 4, 6, 8)
STRATEGIES: dict[str, dict[str, Any]] = {
    "direct": {"use": "self_consistency", "samples": 1, "stop": "never"},
    "compiler": {"use": "compiler", "tools": ["arithmetic"], "fallback": False},
    "react": {"use": "react", "tools": ["arithmetic"]},
}


async def _solutions(name: str, texts: list[str]) -> list[Solution]:
    model = {"backend": "reference", "sampling": {"max_tokens": 250, "temperature": 0.0}}
    pipeline = Pipeline.model_validate({"models": {"m": model}, "strategy": STRATEGIES[name]})
    async with open_solver(pipeline) as solver:
        return [await solver.solve(pipeline.problem(text), seed=0) for text in texts]


def _figures(level: int, count: int) -> dict[str, dict[str, float]]:
    drawn = [*problems_of(level, "facts", count), *problems_of(level, "sentences", count)]
    texts, right = [one.text for one in drawn], [str(one.answer) for one in drawn]
    found = {}
    for name in STRATEGIES:
        solved = anyio.run(_solutions, name, texts)
        hits = [
            one.answer is not None and equivalent(one.answer, answer)
            for one, answer in zip(solved, right, strict=True)
        ]
        found[name] = {
            "accuracy": round(statistics.fmean(hits), 3),
            "calls": round(statistics.fmean(one.usage.calls for one in solved), 2),
            "critical_tokens": round(statistics.fmean(o.usage.critical_tokens for o in solved)),
            "wall_ms": round(1000 * statistics.median(o.usage.wall_seconds for o in solved)),
        }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    levels, count = ((1, 3), 4) if options.quick else (LEVELS, 50)
    figures = {level: _figures(level, count) for level in levels}
    if options.json:
        print(json.dumps(figures))
        return
    for level, found in figures.items():
        print(f"{level} operations, {2 * count} problems")
        for name, part in found.items():
            print(f"  {name:<9}", "  ".join(f"{key} {value}" for key, value in part.items()))


if __name__ == "__main__":
    main()
