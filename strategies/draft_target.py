"""Draft and target: a small model writes, a large one reads along and takes over where it must."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from tts.continuations import JointText
from tts.errors import BackendError, BudgetExceeded, ConfigError
from tts.messages import Completion
from tts.problem import Candidate, Problem, Solution
from tts.registry import mistake
from tts.run import Run
from tts.stopping.conformal import uniform
from tts.stopping.takeovers import RateController
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
    """Conditional: how far one decision moves the level of its turn; 0 keeps it."""
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
        return self

    def roles(self) -> tuple[str, ...]:
        """Return both models' roles."""
        return ("draft", "target")

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return that both must go on with a text, and the target score one."""
        return {"draft": frozenset({"prefill"}), "target": frozenset({"prefill", "score"})}

    def objection(self, fingerprint: Callable[[Strategy], str]) -> str | None:
        """Refuse a calibration that was made with another pipeline."""
        made = self.calibration.fingerprint if self.calibration else ""
        if not made or self.allow_mismatch or made == fingerprint(self.uncalibrated()):
            return None
        return (
            "the calibration was made with other models, prompts or settings: make it anew with "
            "python -m tts.evals.takeovers, or set allow_mismatch: true and do without its rate"
        )

    def uncalibrated(self) -> DraftTarget:
        """Return the strategy that calibrates this one: the same texts, compared by problem."""
        without = {"mode": "conditional", "calibration": None, "allow_mismatch": False}
        return self.model_copy(update=without)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Write all texts, vote."""
        texts = [JointText(sample) for sample in range(self.samples)]
        if self.mode == "rank_then_select":
            candidates = await self._write_in_step(problem, texts, run)
        else:
            candidates = await self._write(problem, texts, run)
        if not candidates and not run.is_exhausted:  # every text was lost: say by which error
            candidates = [await run.candidate(run.prompt("target", problem=problem))]
        run.note(
            draft_tokens=sum(text.tokens.get("draft", 0) for text in texts),
            target_tokens=sum(text.tokens.get("target", 0) for text in texts),
            turns=sum(text.turns for text in texts) / self.samples,
        )
        return Tally.of(candidates).solution()

    async def _write(
        self, problem: Problem, texts: Sequence[JointText], run: Run
    ) -> list[Candidate]:
        """Write texts side by side, without a barrier."""
        is_fixed = self.calibration is not None
        controller = RateController(
            self.rate,
            buckets=self.buckets,
            lag=self.lag,
            step=0.0 if is_fixed else self.step,
            seed=math.floor(uniform(run.rng.getrandbits(31), problem.text) * 2**31),
            calibration=self.calibration,
        )
        run.record("control", mode=self.mode, guarantee=controller.guarantee)
        turnstile = Turnstile(controller, run)
        written = await run.map(
            lambda text: self._write_one(problem, text, run, turnstile),
            texts,
            failures="skip",
            concurrency=self.samples,
        )
        _note_rates(controller, run)
        return [one for one in written if one is not None]

    async def _write_one(
        self, problem: Problem, text: JointText, run: Run, turnstile: Turnstile
    ) -> Candidate:
        """Write one text, turn by turn.

        Raises:
            BackendError: If the target was to take over and failed.
            BudgetExceeded: If the budget ended before there was an answer.
        """
        try:
            for turn in range(self.turns):
                chunk = await self._draft(problem, text, run)
                is_capped = text.takeovers == self.most_takeovers
                if chunk is not None and (is_capped or not chunk.text):
                    turnstile.skip(sample=text.sample, turn=turn)
                    text.add("draft", chunk)
                else:
                    score = await self._score(problem, text, chunk, run)
                    decision = await turnstile.decide(score, sample=text.sample, turn=turn)
                    await self._go_on(problem, text, chunk, run, takes_over=decision.takes_over)
                if text.is_over:
                    break
        except BudgetExceeded:
            if text.answer(problem) is None:
                raise
        finally:
            turnstile.leave(text.sample)
        return run.propose(text.completion, ticket=text.sample)

    async def _write_in_step(
        self, problem: Problem, texts: Sequence[JointText], run: Run
    ) -> list[Candidate]:
        """Write texts turn by turn: all drafts, all scores, then the worst go to the target."""
        left, lost = list(texts), set[int]()

        async def draft(text: JointText) -> tuple[Completion | None, float | None]:
            chunk = await self._draft(problem, text, run)
            is_read = chunk is None or chunk.text
            return chunk, await self._score(problem, text, chunk, run) if is_read else -math.inf

        async def go_on(part: tuple[JointText, Completion | None, bool]) -> bool:
            text, chunk, is_worst = part
            await self._go_on(problem, text, chunk, run, takes_over=is_worst)
            return True

        for _ in range(self.turns):
            drafted = await run.map(draft, left, failures="skip", concurrency=self.samples)
            chunks = [(text, *pair) for text, pair in zip(left, drafted, strict=True) if pair]
            worst = self._worst(chunks, run.rng.random())
            parts = [(text, chunk, text.sample in worst) for text, chunk, _ in chunks]
            moved = await run.map(go_on, parts, failures="skip", concurrency=self.samples)
            lost |= {text.sample for text in left} - {
                text.sample for (text, _, _), done in zip(parts, moved, strict=True) if done
            }
            left = [text for text in left if text.sample not in lost and not text.is_over]
            if not left or run.is_exhausted:
                break
        kept = [
            text
            for text in texts
            if text.sample not in lost or (run.is_exhausted and text.answer(problem) is not None)
        ]
        return [run.propose(text.completion, ticket=text.sample) for text in kept]

    def _worst(
        self, chunks: Sequence[tuple[JointText, Completion | None, float | None]], u: float
    ) -> set[int]:
        """Return the samples with the highest scores, `rate` of them on average over u."""
        written = [(text, math.inf if score is None else score) for text, _, score in chunks]
        ranked = sorted(
            ((text, score) for text, score in written if score > -math.inf),
            key=lambda one: (-one[1], one[0].sample),
        )
        count = math.floor(self.rate * len(ranked) + u)
        return {
            text.sample
            for at, (text, score) in enumerate(ranked)
            if at < count or score == math.inf
        }

    async def _draft(self, problem: Problem, text: JointText, run: Run) -> Completion | None:
        """Let the draft go on; None where its call fails: the target will write the turn."""
        text.turns += 1
        prompt = run.prompt("draft", problem=problem)
        try:
            return await run.extend(prompt, text.text, max_tokens=self.chunk)
        except BackendError:
            if text.takeovers == self.most_takeovers:
                raise
            return None

    async def _score(
        self, problem: Problem, text: JointText, chunk: Completion | None, run: Run
    ) -> float | None:
        """Return how unusual the target finds a chunk, mean -log q; None where it cannot tell."""
        if chunk is None:
            return None
        prompt, start = run.prompt("target", problem=problem), len(text.text)
        try:
            entries = await run.score(prompt, text.text + chunk.text, start=start)
        except BackendError:
            return None
        return -math.fsum(entry.logprob for entry in entries) / len(entries)

    async def _go_on(
        self,
        problem: Problem,
        text: JointText,
        chunk: Completion | None,
        run: Run,
        *,
        takes_over: bool,
    ) -> None:
        """Keep the draft's chunk, or let the target take over."""
        is_open = chunk is not None and chunk.finish_reason == "length"
        is_kept = not takes_over or (self.takeover == "append" and is_open)
        if chunk is not None and is_kept:
            text.add("draft", chunk)
        if takes_over:
            prompt, most = run.prompt("target", problem=problem), self.continuation or self.chunk
            text.takeovers += 1
            text.add("target", await run.extend(prompt, text.text, max_tokens=most))


def _note_rates(controller: RateController, run: Run) -> None:
    """Tell how often the target took over, in all and by bucket."""
    rates = controller.rates()
    decisions = sum(each.decisions for each in rates)
    told: dict[str, Any] = {
        "decisions": decisions,
        "takeovers": sum(each.takeovers for each in rates),
        "unscored": len(controller.decisions) - decisions,
    }
    told |= {f"takeover_rate_{one.first_turn}": one.takeovers / one.decisions for one in rates}
    run.note(**told)
