"""Draft and target in virtual time: the same work with a barrier in every turn, and without.

How long a call takes, how long a text gets and how its chunks score follow from problem, sample and
turn alone, so that every mode has the same work; which chunks are taken over differs, how many is
told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist, fmean
from typing import Any, Final

import anyio

from tts import Pipeline
from tts.backends import Given, Meter
from tts.evals.takeovers import calibrate
from tts.messages import Completion, Request, TokenLogprob, Usage
from tts.solver import open_solver
from tts.stopping.conformal import uniform
from tts.tasks import for_each
from tts.testing import ScriptedBackend, virtual_run

__all__ = ["times"]

SAMPLES: Final = 16
SECONDS: Final = {"draft": 1.0, "score": 0.2, "target": 3.0}
"""Medians."""
MODES: Final[dict[str, dict[str, Any]]] = {
    "barrier": {"mode": "rank_then_select"},
    "marginal": {"mode": "marginal"},
    "conditional": {"mode": "conditional"},
}


class _Model(ScriptedBackend):
    """Both models: chunks are `PROBLEM.SAMPLE:`, `d` of the draft, `t` of the target."""

    def __init__(self, sigma: float) -> None:
        super().__init__(_chunk, latency=lambda request: _seconds(request, sigma))

    async def generate(self, request: Request, meter: Meter) -> Completion:
        completion = await super().generate(request, meter)
        if request.given is None:
            return completion
        place = request.given.split(":")[0]
        score = NormalDist().inv_cdf(_u("score", place, request.given.count("d")))
        logs = [TokenLogprob(token=one, logprob=-math.exp(score)) for one in request.given]
        return completion.model_copy(update={"logprobs": tuple(logs)})


def _u(*place: object) -> float:
    return min(max(uniform(0, *place), 1e-9), 1.0 - 1e-9)


def _place(request: Request) -> tuple[str, int]:
    """Return problem and sample of a request, and how many chunks the draft has written."""
    last = request.messages[-1]
    text = request.given or (last.content if last.role == "assistant" else "")
    if text:
        return text.split(":")[0], text.count("d")
    problem = request.messages[0].content.split()[0]
    return f"{problem}.{request.span.rsplit('/', 1)[-1]}", 0


def _chunk(request: Request) -> Completion:
    place, turn = _place(request)
    is_first = request.messages[-1].role == "user"
    is_over = request.role == "draft" and turn >= 2 + math.floor(9 * _u("turns", place))
    text = (f"{place}:" if is_first else "") + ("d" if request.role == "draft" else "t")
    return Completion(
        text="" if is_over else text,
        finish_reason="stop" if is_over else "length",
        usage=Usage(completion_tokens=1),
        model="scripted",
    )


def _seconds(request: Request, sigma: float) -> float:
    place, turn = _place(request)
    kind = "score" if request.given is not None else request.role
    return SECONDS[kind] * math.exp(sigma * NormalDist().inv_cdf(_u(kind, place, turn)))


def _pipeline(sigma: float, mode: Mapping[str, Any]) -> Pipeline:
    return Pipeline(
        models={
            "small": Given(backend=_Model(sigma), concurrency=16),
            "large": Given(backend=_Model(sigma), concurrency=8),
        },
        roles={"draft": "small", "target": "large"},
        strategy={"use": "draft_target", "samples": SAMPLES, "chunk": 8, "turns": 40, **mode},  # type: ignore[arg-type]  # parsed by the field
    )


async def _alone(pipeline: Pipeline, problems: int) -> tuple[float, float]:
    """Return seconds a problem, one after the other, and the share of takeovers."""
    spent, taken = [], []
    async with open_solver(pipeline) as solver:
        for number in range(problems):
            began = anyio.current_time()
            solution = await solver.solve(pipeline.problem(f"p{number} ?"))
            spent.append(anyio.current_time() - began)
            written = (solution.notes["turns"] - 1) * SAMPLES  # a last call says that all is said
            taken.append(solution.notes["target_tokens"] / written)
    return fmean(spent), fmean(taken)


async def _together(pipeline: Pipeline, problems: int) -> float:
    """Return problems a second when all are there at once and share the limiters."""
    began = anyio.current_time()
    async with open_solver(pipeline) as solver:

        async def solve(number: int) -> None:
            await solver.solve(pipeline.problem(f"p{number} ?"))

        await for_each(solve, range(problems))
    return problems / (anyio.current_time() - began)


def times(sigma: float, problems: int) -> list[dict[str, Any]]:
    """Return a row for each mode: seconds a problem, throughput, and both against the barrier.

    Args:
        sigma: Spread of the lognormal latencies' logarithm.
        problems: How many.
    """
    calm = _pipeline(0.0, MODES["conditional"])
    others = [calm.problem(f"c{number} ?") for number in range(40)]
    scores = virtual_run(lambda: calibrate(calm, others))
    rows: list[dict[str, Any]] = []
    for name, mode in MODES.items():
        if name == "marginal":
            mode = {**mode, "calibration": scores, "allow_mismatch": True}
        pipeline = _pipeline(sigma, mode)
        seconds, taken = virtual_run(lambda: _alone(pipeline, problems))  # noqa: B023  # run at once
        rate = virtual_run(lambda: _together(pipeline, problems))  # noqa: B023  # run at once
        row: dict[str, Any] = {"sigma": sigma, "mode": name, "seconds": seconds, "takeovers": taken}
        base = rows[0] if rows else {**row, "problems_a_second": rate}
        rows.append(
            {
                **row,
                "latency_ratio": base["seconds"] / seconds,
                "problems_a_second": rate,
                "throughput_ratio": rate / base["problems_a_second"],
            }
        )
    return rows
