"""Score the drafts of many problems, for `draft_target` in mode `marginal` to compare with.

    python -m tts.evals.takeovers PIPELINE.yaml --data PROBLEMS.jsonl --out SCORES.json [--json]

The pipeline's strategy is `draft_target`; a line of the data is a problem as for `tts run
--input-file`, and needs no answer. Each problem is solved as the pipeline solves it, compared with
itself (mode `conditional`), since that is what texts look like when the target takes over in some.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tts.errors import ConfigError
from tts.evals.module_errors import told_in_one_line
from tts.layers import Trace
from tts.output_files import prepare, write
from tts.pipeline import Pipeline
from tts.problem import Problem
from tts.problem_files import read_problems
from tts.solver import open_solver
from tts.stopping.turn_scores import TurnScores
from tts.strategies.draft_target import DraftTarget
from tts.tasks import for_each

__all__ = ["calibrate"]


async def calibrate(
    pipeline: Pipeline, problems: Sequence[Problem], *, seed: int = 0, concurrency: int = 8
) -> TurnScores:
    """Solve problems and keep the scores of their chunks.

    Args:
        pipeline: Its strategy is `draft_target`.
        problems: Like those that are to be solved with the scores; at least one.
        seed: Same seed, same scores.
        concurrency: Problems under way at once; at least 1.

    Raises:
        BackendError: If a problem could not be solved.
        ConfigError: If the strategy is another, `concurrency` is none, no chunk was scored, or a
            model cannot be opened.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency: {concurrency} is less than 1")
    strategy = pipeline.strategy
    if not isinstance(strategy, DraftTarget):
        raise pipeline.mistake("only draft_target has a takeover rate", "strategy")
    plain = pipeline.model_copy(update={"strategy": strategy.uncalibrated()})
    found: list[list[tuple[int, float]]] = [[] for _ in problems]
    slots = anyio.Semaphore(concurrency)
    async with open_solver(plain) as solver:

        async def score(at: int) -> None:
            trace = Trace(partial(_keep, found[at]))
            async with slots:
                await solver.solve(problems[at], seed=seed + at, trace=trace)

        await for_each(score, range(len(problems)))
    scored = tuple(tuple(sorted(own)) for own in found if own)
    if not scored:
        raise ConfigError("no chunk was scored: the trace of a single run says why")
    return TurnScores(problems=scored, origin=plain.origin())


def _keep(scores: list[tuple[int, float]], record: dict[str, Any]) -> None:
    if record["event"] == "takeover" and record["score"] is not None:
        scores.append((record["turn"], record["score"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the scores, and say how much they are worth."""
    parser = argparse.ArgumentParser(prog="python -m tts.evals.takeovers", description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=8, help="problems under way at once")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    with told_in_one_line(parser.prog):
        _write_scores(asked)


def _write_scores(asked: argparse.Namespace) -> None:
    pipeline = Pipeline.load(asked.pipeline)
    problems = read_problems(pipeline, asked.data)
    prepare(asked.out)
    scores = anyio.run(
        partial(calibrate, pipeline, problems, seed=asked.seed, concurrency=asked.concurrency)
    )
    write(asked.out, scores.model_dump_json() + "\n")
    assert isinstance(pipeline.strategy, DraftTarget)
    buckets = pipeline.strategy.buckets
    rows = [
        {
            "first_turn": start,
            "problems": len(groups),
            "scores": sum(map(len, groups)),
            "effective": round(scores.effective(at, buckets), 1),
        }
        for at, start in enumerate(buckets)
        if (groups := scores.groups(at, buckets))
    ]
    if asked.json:
        print(json.dumps({"problems": len(scores.problems), "buckets": rows}))
        return
    print(f"{len(scores.problems)} problems\nfrom turn  problems   scores  effective")
    for row in rows:
        print("{first_turn:>9}{problems:>10}{scores:>9}{effective:>11}".format(**row))
    print("turn 0: rate kept within 1 / (problems + 1), on average over problems; no proof later")


if __name__ == "__main__":
    main()
