"""Draft and target: a small model writes, a large one reads along and takes over where it must."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from tts.errors import ConfigError
from tts.joint_texts import Chunk, JointText, Writers
from tts.origins import Origin
from tts.problem import Problem, Solution
from tts.registry import mistake
from tts.run import Run
from tts.stopping.conformal import uniform
from tts.stopping.takeovers import RateController
from tts.stopping.turn_rates import TurnCounts
from tts.stopping.turn_scores import BUCKETS, TurnScores
from tts.strategy import Strategy
from tts.turnstile import Turnstile
from tts.votes import Tally

__all__ = ["DraftTarget"]


def _loaded(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    try:
        return TurnScores.load(value)
    except ConfigError as error:
        raise mistake(TurnScores, (), str(error), str(value)) from error


class DraftTarget(Strategy, name="draft_target"):
    """Let the draft write chunks, score each by the target, and let the target take over the worst.

    In each turn of each sample: the draft continues the text; the target reads it and scores the
    new chunk, s = -mean log q(token); p = its smoothed conformal p-value among scores of the same
    bucket of turns; where p < a, the target continues the text itself. The levels a keep the share
    of takeovers at `rate`: a *rate* is controlled, not correctness. Samples go their ways without
    a barrier; each model's `concurrency` is its limiter. The plain vote decides.

    Cost: a turn is a call of the draft, a scoring and, at `rate`, a continuation of the target;
    at most `samples * turns` of each, 3 `turns` calls deep.
    Source: arXiv:2509.15148 (ATTS), section 1 of its algorithm as its code has it; buckets by
    turn, adaptive levels, ties and tickets are ours.
    """

    samples: PositiveInt = 16
    """Texts, written side by side."""
    turns: PositiveInt = 15
    """Most chunks that the draft writes of a text; what is not finished then is cut off."""
    chunk: PositiveInt = 256
    """Most tokens that the draft writes in a turn."""
    continuation: PositiveInt | None = None
    """Most tokens that the target writes when it takes over; None is as many."""
    rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.4
    """Share of the draft's chunks after which the target takes over."""
    mode: Literal["conditional", "marginal", "rank_then_select"] = "conditional"
    """What a chunk is compared with: earlier samples of the same problem; other problems'
    (`calibration`); or, with a barrier in each turn, all samples of it, of which the worst go to
    the target."""
    calibration: Annotated[
        TurnScores | None,
        BeforeValidator(_loaded, json_schema_input_type=str | Path | TurnScores | None),
    ] = None
    """Scores of other problems, a file made by `python -m tts.evals.takeovers`; for `marginal`."""
    allow_mismatch: bool = False
    """Use a calibration of another pipeline too; its rate is then not kept."""
    buckets: tuple[Annotated[int, Field(ge=0)], ...] = BUCKETS
    """First turns of the buckets within which scores are compared."""
    lag: PositiveInt = 4
    """Conditional: samples that do not wait for each other's scores; the first ones have nothing
    to be compared with, and their takeovers are drawn by lot, at the rate."""
    step: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """How far one decision moves the level of its turn; 0 keeps it. `marginal` moves it between
    problems only, with `carry`."""
    carry: PositiveInt | None = None
    """Let levels go on from problem to problem of an open solver: a problem waits until those that
    began this many or more before it have ended, and goes on from what all of them decided. Then
    the rate of every turn is kept over a stream, and what a problem gets depends on those before
    it. None begins anew in each.

    `budget.seconds` runs while it waits, so a budget meant for the calls ends problems that have
    made none; if none of those it waits for ends for a day, it fails. Which decisions a problem
    hands on that a budget, a failure or a cancellation cut short may depend on the calls' speed.
    Parts of a strategy, and other settings, are other streams. A suite refuses it."""
    takeover: Literal["append", "replace"] = "append"
    """Whether the target goes on after the draft's chunk, as published, or writes in its place. A
    chunk with which the draft has ended its text is always replaced."""
    most_takeovers: PositiveInt | None = None
    """Most takeovers of a text; then the draft goes on unread. None is no limit."""

    @field_validator("buckets")
    @classmethod
    def _ascend_from_zero(cls, buckets: tuple[int, ...]) -> tuple[int, ...]:
        if buckets[:1] != (0,) or list(buckets) != sorted(set(buckets)):
            raise ValueError("buckets begin at 0 and ascend")
        return buckets

    @model_validator(mode="after")
    def _is_calibrated(self) -> Self:
        if (self.mode == "marginal") is not (self.calibration is not None):
            raise ValueError("mode marginal, and only it, needs a calibration")
        if self.carry and (self.mode == "rank_then_select" or not self.step):
            raise ValueError("carry needs levels that move: another mode, and a step above 0")
        return self

    def roles(self) -> tuple[str, ...]:
        """Return both models' roles."""
        return ("draft", "target")

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return that both must go on with a text, and the target score one."""
        return {"draft": frozenset({"prefill"}), "target": frozenset({"prefill", "score"})}

    def objection(self, origin: Callable[[Strategy], Origin]) -> str | None:
        """Refuse a calibration that was made with another pipeline."""
        made = self.calibration and self.calibration.origin
        if not (made and made.fingerprint) or self.allow_mismatch:
            return None
        differs = made.difference(origin(self.uncalibrated()))
        return differs and (
            f"the calibration was made with another pipeline ({differs}): make it anew with python "
            "-m tts.evals.takeovers, or set allow_mismatch: true and do without its rate"
        )

    def uncalibrated(self) -> DraftTarget:
        """Return the strategy that calibrates this one: the same texts, compared by problem."""
        without = {"calibration": None, "allow_mismatch": False, "carry": None}
        return self.model_copy(update={"mode": "conditional", **without})

    def carries(self) -> bool:
        """Return whether levels go on from problem to problem."""
        return self.carry is not None

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Write all texts, vote."""
        texts = [JointText(sample) for sample in range(self.samples)]
        most = self.continuation or self.chunk
        pair = Writers(run, problem, self.chunk, most, self.takeover, self.most_takeovers)
        if self.mode == "rank_then_select":
            await self._write_in_step(texts, pair, run)
        elif self.carry is None:
            await self._write(texts, pair, self._controller(problem, run), run)
        else:
            key = f"takeovers {Origin.of(self.settings()).fingerprint}"  # the bound is theirs
            async with run.carried(key, TurnCounts(), lag=self.carry) as share:
                controller = self._controller(problem, run, before=share.before)
                try:
                    await self._write(texts, pair, controller, run)
                finally:
                    share.own = controller.counts
        return Tally.of(pair.candidates(texts)).solution()

    def _controller(
        self, problem: Problem, run: Run, before: TurnCounts | None = None
    ) -> RateController:
        """Return what decides on takeovers; with a calibration, levels move between problems."""
        is_fixed = self.calibration is not None
        return RateController(
            self.rate,
            buckets=self.buckets,
            lag=self.samples if is_fixed else self.lag,
            step=0.0 if is_fixed and before is None else self.step,
            seed=math.floor(uniform(run.rng.getrandbits(31), problem.text) * 2**31),
            calibration=self.calibration,
            before=before,
            unseen=((self.carry or 1) - 1) * self.samples,
        )

    async def _write(
        self, texts: Sequence[JointText], pair: Writers, controller: RateController, run: Run
    ) -> None:
        """Write texts side by side, without a barrier."""
        before = controller.before and controller.before.model_dump()
        run.record("control", mode=self.mode, guarantee=controller.guarantee, before=before)
        turnstile = Turnstile(controller, run)

        async def write(text: JointText) -> None:
            try:
                for turn in range(self.turns):
                    chunk = await pair.draft(text)
                    takes_over = False
                    if chunk.is_read:
                        score, sample = chunk.score, text.sample
                        decision = await turnstile.decide(score, sample=sample, turn=turn)
                        takes_over = decision.takes_over
                    else:
                        turnstile.skip(sample=text.sample, turn=turn)
                    await pair.go_on(text, chunk, takes_over=takes_over)
                    if text.is_over:
                        break
            finally:
                turnstile.leave(text.sample)

        await run.map(write, texts, failures="skip", concurrency=self.samples)
        run.note(**controller.notes())

    async def _write_in_step(self, texts: Sequence[JointText], pair: Writers, run: Run) -> None:
        """Write texts turn by turn: all drafts, all scores, then the worst go to the target."""
        left, decisions = list(texts), 0

        async def go_on(part: tuple[JointText, Chunk, bool]) -> None:
            text, chunk, is_worst = part
            await pair.go_on(text, chunk, takes_over=is_worst)

        for _ in range(self.turns):
            drafted = await run.map(pair.draft, left, failures="skip", concurrency=self.samples)
            pairs = zip(left, drafted, strict=True)
            chunks = [(text, chunk) for text, chunk in pairs if chunk is not None]
            worst = self._worst(chunks, run.rng.random())
            decisions += sum(chunk.is_read for _, chunk in chunks)
            parts = [(text, chunk, text.sample in worst) for text, chunk in chunks]
            await run.map(go_on, parts, failures="skip", concurrency=self.samples)
            left = [text for text in left if text.ended_by is None and not text.is_over]
            if not left or run.is_exhausted:
                break
        run.note(decisions=decisions, takeovers=sum(text.takeovers for text in texts))

    def _worst(self, chunks: Sequence[tuple[JointText, Chunk]], u: float) -> set[int]:
        """Return the samples with the highest scores, `rate` of them on average over u."""
        read = [(text.sample, chunk.score) for text, chunk in chunks if chunk.is_read]
        unknown = {sample for sample, score in read if score is None}
        ranked = sorted(read, key=lambda one: (one[1] is not None, -(one[1] or 0.0), one[0]))
        count = math.floor(self.rate * len(read) + u)
        return unknown | {sample for sample, _ in ranked[:count]}
