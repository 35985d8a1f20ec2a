"""Find the threshold of selective allocation: accuracy and cost at each tau, on labelled problems.

    python -m tts.evals.thresholds PIPELINE.yaml --data LABELLED.jsonl [--taus 0 .2 .4] [--json]

The pipeline's strategy is `selective_allocation`, with `calibrate: true` or any tau. A line of the
data is a problem as for `tts run --input-file`, with its right `answer`. Take a tau from the table
and report it on other problems than those that chose it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from tts.answers import canonical, equivalent
from tts.errors import ConfigError
from tts.evals.module_errors import told_in_one_line
from tts.evals.statistics import wilson
from tts.pipeline import Pipeline, read_text
from tts.problem import Problem, Solution
from tts.problem_files import read_problems
from tts.solver import Solver, open_solver
from tts.strategies.selective_allocation import SelectiveAllocation
from tts.tasks import for_each

__all__ = ["Point", "best", "curve", "frontier"]

TAUS = tuple(tenth / 10 for tenth in range(11))


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold brings and costs, in means over problems."""

    tau: float
    accuracy: float
    low: float
    """Lower end of accuracy's 95% interval (Wilson)."""
    high: float
    """Upper end."""
    total_tokens: float
    critical_tokens: float
    hard: float
    """Share of the rated steps that lie above tau."""


async def curve(
    pipeline: Pipeline,
    problems: Sequence[Problem],
    labels: Sequence[str],
    *,
    taus: Sequence[float] = TAUS,
    seed: int = 0,
    concurrency: int = 8,
) -> list[Point]:
    """Solve labelled problems at each threshold.

    Ratings made up front do not depend on tau: a problem is then solved once for each way in which
    the thresholds part its steps, not once for each threshold.

    Args:
        pipeline: Its strategy is `selective_allocation`.
        problems: What is solved; at least one.
        labels: Their right answers.
        taus: Thresholds, each in [0, 1]; at least one.
        seed: Same seed, same ratings, whatever the threshold.
        concurrency: Problems under way at once.

    Raises:
        BackendError: If a problem could not be solved.
        ConfigError: If the strategy is another, a threshold lies outside its range, or the model
            cannot be opened.
    """
    outside = [tau for tau in taus if not 0.0 <= tau <= 1.0]
    if outside or not taus:
        raise ConfigError(f"taus: {outside[0]:g} is not in 0..1" if outside else "taus: none given")
    strategy = pipeline.strategy
    if not isinstance(strategy, SelectiveAllocation):
        raise pipeline.mistake("only selective_allocation has a threshold", "strategy")
    solved: dict[int, list[Solution]] = {}
    slots = anyio.Semaphore(concurrency)
    async with open_solver(pipeline) as solver:

        async def sweep(place: int) -> None:
            async with slots:
                solved[place] = await _sweep(solver, strategy, problems[place], taus, seed + place)

        await for_each(sweep, range(len(problems)))
    rows = [[solved[place][at] for place in range(len(problems))] for at in range(len(taus))]
    return [_point(tau, row, labels) for tau, row in zip(taus, rows, strict=True)]


async def _sweep(
    solver: Solver,
    strategy: SelectiveAllocation,
    problem: Problem,
    taus: Sequence[float],
    seed: int,
) -> list[Solution]:
    """Solve one problem at each threshold."""
    found: list[Solution] = []
    by_split: dict[tuple[bool, ...], Solution] = {}
    for tau in taus:
        known = by_split.get(_split(found[-1], tau)) if found else None
        if known is None or strategy.difficulty == "in_context":
            own = strategy.model_copy(update={"tau": tau, "calibrate": False})
            pipeline = solver.pipeline.model_copy(update={"strategy": own})
            known = await Solver(pipeline, solver.stacks).solve(problem, seed=seed)
        found.append(known)
        by_split[_split(known, tau)] = known
    return found


def _split(solution: Solution, tau: float) -> tuple[bool, ...]:
    return tuple(difficulty > tau for difficulty in _difficulties(solution))


def _difficulties(solution: Solution) -> list[float]:
    return [value for key, value in solution.notes.items() if key.startswith("difficulty_")]


def _point(tau: float, solutions: Sequence[Solution], labels: Sequence[str]) -> Point:
    n = len(solutions)
    right = sum(
        one.answer is not None and equivalent(canonical(one.answer), canonical(label))
        for one, label in zip(solutions, labels, strict=True)
    )
    parted = [hard for one in solutions for hard in _split(one, tau)]
    accuracy = wilson(right, n)
    return Point(
        tau,
        accuracy.mean,
        accuracy.low,
        accuracy.high,
        sum(one.usage.total_tokens for one in solutions) / n,
        sum(one.usage.critical_tokens for one in solutions) / n,
        sum(parted) / len(parted) if parted else 0.0,
    )


def best(points: Sequence[Point]) -> Point:
    """Return the most accurate point, the cheapest in total tokens among equals."""
    return min(points, key=lambda point: (-point.accuracy, point.total_tokens, point.tau))


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points than which none is both as accurate and as cheap, and one of both more."""
    return [
        point
        for point in points
        if not any(
            (other.accuracy, -other.total_tokens) != (point.accuracy, -point.total_tokens)
            and other.accuracy >= point.accuracy
            and other.total_tokens <= point.total_tokens
            for other in points
        )
    ]


def read_labels(path: Path) -> list[str]:
    """Return the answers of a file of labelled problems, in its order.

    Raises:
        ConfigError: If a line has none.
    """
    labels: list[str] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            row = json.loads(line)  # lines that are no JSON were refused before
            label = row.get("answer") if isinstance(row, dict) else None
            if isinstance(label, bool) or not isinstance(label, str | int | float):
                raise ConfigError("the line has no `answer`", path=str(path), line=number)
            labels.append(str(label))
    return labels


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(prog="python -m tts.evals.thresholds", description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--taus", type=float, nargs="+", default=list(TAUS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    with told_in_one_line(parser.prog):
        _print_curve(asked)


def _print_curve(asked: argparse.Namespace) -> None:
    pipeline = Pipeline.load(asked.pipeline)
    problems, labels = read_problems(pipeline, asked.data), read_labels(asked.data)

    async def measure() -> list[Point]:
        return await curve(pipeline, problems, labels, taus=asked.taus, seed=asked.seed)

    points = anyio.run(measure)
    chosen, kept = best(points), frontier(points)
    if asked.json:
        print(json.dumps({"best": chosen.tau, "points": [asdict(point) for point in points]}))
        return
    print(f"{len(problems)} problems; * none is both better and cheaper")
    print("  tau  accuracy [95%]          total  critical  above tau")
    for point in points:
        mark = "*" if point in kept else " "
        print(
            f"{mark} {point.tau:.2f}  {point.accuracy:.3f} [{point.low:.3f}, {point.high:.3f}]"
            f"  {point.total_tokens:7.0f}  {point.critical_tokens:8.0f}  {point.hard:8.0%}"
        )
    print(f"most accurate, then cheapest: tau {chosen.tau:g}")


if __name__ == "__main__":
    main()
