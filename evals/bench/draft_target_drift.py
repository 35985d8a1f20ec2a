"""Draft and target on scores that drift from turn to turn: the strategy itself, on a stream.

Texts, lengths and scores follow from problem, sample and turn alone; time is virtual. What is
counted are the takeovers that the trace tells of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tts import Pipeline
from tts.backends import Given, Meter
from tts.evals.bench.turn_drift import RATE, SAMPLES, drifting
from tts.layers import Trace
from tts.messages import Completion, Request, TokenLogprob, Usage
from tts.solver import open_solver
from tts.stopping.turn_rates import TurnCounts, TurnRate
from tts.stopping.turn_scores import BUCKETS, TurnScores
from tts.strategies.draft_target import DraftTarget
from tts.tasks import for_each
from tts.testing import ScriptedBackend, virtual_run

__all__ = ["STREAMS", "on_stream"]

STREAMS: Final[dict[str, dict[str, Any]]] = {
    "conditional": {"mode": "conditional"},
    "conditional, carry 1": {"mode": "conditional", "carry": 1},
    "conditional, carry 8": {"mode": "conditional", "carry": 8, "step": 0.005},
    "marginal": {"mode": "marginal"},
    "marginal, carry 1": {"mode": "marginal", "carry": 1},
    "marginal, carry 8": {"mode": "marginal", "carry": 8, "step": 0.005},
}
"""The strategy's defaults but for these; all problems begin at once, and wait as `carry` says."""


class _Model(ScriptedBackend):
    """Both models: texts are `PROBLEM.SAMPLE:`, then `d` a draft chunk, `t` one of the target."""

    def __init__(self, scores: Sequence[Sequence[float]]) -> None:
        super().__init__(self._chunk)
        self._scores = scores

    def _of(self, request: Request) -> tuple[str, Sequence[float], int]:
        """Return what a text begins with, its scores by turn, and the draft's chunks in it."""
        last = request.messages[-1]
        text = request.given or (last.content if last.role == "assistant" else "")
        if text:
            place = text.split(":")[0]
        else:
            problem = request.messages[0].content.split()[0]
            place = f"{problem}.{request.span.rsplit('/', 1)[-1]}"
        number, sample = map(int, place.split("."))
        return place, self._scores[SAMPLES * number + sample], text.count("d")

    def _chunk(self, request: Request) -> Completion:
        place, scores, turn = self._of(request)
        is_first = request.messages[-1].role == "user"
        is_over = request.role == "draft" and turn >= len(scores)
        text = (f"{place}:" if is_first else "") + request.role[0]
        return Completion(
            text="" if is_over else text,
            finish_reason="stop" if is_over else "length",
            usage=Usage(completion_tokens=1),
            model="scripted",
        )

    async def generate(self, request: Request, meter: Meter) -> Completion:
        completion = await super().generate(request, meter)
        if request.given is None:
            return completion
        _, scores, turn = self._of(request)
        logprob = -math.exp(scores[turn - 1])
        logs = tuple(TokenLogprob(token=one, logprob=logprob) for one in request.given)
        return completion.model_copy(update={"logprobs": logs})


def on_stream(
    seed: int, problems: int, settings: Mapping[str, Any]
) -> tuple[tuple[TurnRate, ...], float]:
    """Return takeover rates by bucket over a stream of problems, and their worst distance.

    The bound in a rate is that of the whole carried stream, with what was under way unseen.

    Args:
        seed: Of the stream; 1,000 more is that of the stream that calibrates `marginal`.
        problems: How many, of 16 samples each.
        settings: Of the strategy.
    """
    known = None
    if settings["mode"] == "marginal":
        others = drifting(1000 + seed, problems)
        groups = [others[at : at + SAMPLES] for at in range(0, len(others), SAMPLES)]
        known = TurnScores(problems=tuple(map(_scored, groups)))
    strategy = DraftTarget(rate=RATE, samples=SAMPLES, calibration=known, **settings)
    decided: list[dict[str, Any]] = []

    async def main() -> None:
        model = Given(backend=_Model(drifting(seed, problems)), concurrency=1024)
        pipeline = Pipeline(models={"model": model}, strategy=strategy)
        async with open_solver(pipeline) as solver:

            async def solve(number: int) -> None:
                problem = pipeline.problem(f"{number} ?")
                await solver.solve(problem, seed=number, trace=Trace(decided.append))

            await for_each(solve, range(problems))

    virtual_run(main)
    made = [one for one in decided if one["event"] == "takeover"]
    turns = range(1 + max(one["turn"] for one in made))
    counts = TurnCounts(
        decisions=tuple(sum(one["turn"] == turn for one in made) for turn in turns),
        takeovers=tuple(
            sum(one["takes_over"] for one in made if one["turn"] == turn) for turn in turns
        ),
    )
    carry = strategy.carry or 1
    own = SAMPLES if known is not None else strategy.lag
    step = strategy.step if strategy.carry else 0.0
    delay = (carry - 1) * SAMPLES + own - 1
    rates = counts.rates(BUCKETS, RATE, step=step, delay=delay)
    return rates, max(abs(one.takeovers / one.decisions - RATE) for one in rates)


def _scored(samples: Sequence[Sequence[float]]) -> tuple[tuple[int, float], ...]:
    return tuple((turn, math.exp(score)) for own in samples for turn, score in enumerate(own))
