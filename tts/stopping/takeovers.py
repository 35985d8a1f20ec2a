"""How often a target model takes over from a draft model: a rate that is kept, turn by turn.

What is controlled is a rate, and nothing else: which share of the draft's chunks the target answers
with words of its own. Whether any text is right is not looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, TypeAdapter

from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.stopping.conformal import Scores, uniform
from tts.stopping.turn_rates import TurnCounts, TurnRate, bound_in_words, unclipped
from tts.stopping.turn_scores import BUCKETS, TurnScores, bucket_of, weighed_by_bucket

__all__ = ["Decision", "RateController"]


class Decision(Frozen):
    """One decision with all that it was made from, so that it can be checked and made again."""

    sample: Annotated[int, Field(ge=0)]
    turn: Annotated[int, Field(ge=0)]
    bucket: Annotated[int, Field(ge=0)]
    score: float | None
    """How unusual the chunk is to the target, larger is worse; null: it could not be scored."""
    above: float = 0.0
    """Weight of the calibration that is larger."""
    equal: float = 0.0
    """Weight that is equal."""
    n: int = 0
    """All its weight: scores, or problems where the scores of each weigh 1 together."""
    u: float = 0.0
    """The number in [0, 1) that breaks ties; it follows from seed, sample and turn."""
    level: float
    """Below it the target takes over."""

    @property
    def p(self) -> float:
        """The smoothed p-value (above + u (1 + equal)) / (n + 1): small is unusual."""
        return (self.above + self.u * (1.0 + self.equal)) / (self.n + 1.0)

    @property
    def takes_over(self) -> bool:
        """Whether the target goes on; what could not be scored goes to it too."""
        return self.score is None or self.p < self.level


class RateController:
    """Decides for each drafted chunk whether the target takes over, at a rate that is kept.

    A chunk's score is ranked among calibration scores of its bucket of turns: p = (#{s_i > s} +
    u (1 + #{s_i = s})) / (n + 1) is uniform where those are of its law. The target takes over if
    p < a, the turn's level, which follows a = rate + step (rate decisions - takeovers).

    *Without* `calibration`, turn t of sample i is compared with the turns up to t, of the same
    bucket, of samples up to i - lag; and the decisions on turn t of these move its level. Samples
    of one problem give a rate for this problem; samples of a stream of problems, one on average
    over them. *With* it, the set is fixed and each of its problems weighs 1, its samples together:
    what is exchangeable are the problems. With a step of 0 no decision then waits for another.

    Decisions depend on samples, turns and scores, never on the order in which calls finish: what a
    decision needs must be there (`is_ready`), and what came early is not looked at.

    Source: arXiv:2509.15148 (ATTS), whose released code calibrates on the first turn for all turns,
    without ties, `+1` or feedback. Smoothed p-values: Vovk et al. 2005. Buckets by turn: Mondrian,
    section 4.5 there. Levels: Gibbs and Candès 2021, see `AdaptiveLevel`; being a sum, the level
    does not depend on the order of what it has seen. Independent samples keep the rate exactly
    while no level can leave [0, 1]; one outside cannot be met, and the mean moves. Problems that
    weigh 1: derived here. Were the
    new problem's own scores counted instead of u, p would be uniform; they weigh 1 of n + 1, so
    the rate is within 1 / (n + 1) of the level, on average over problems.

    Args:
        rate: Share of chunks that the target takes over, in (0, 1).
        buckets: First turns of the buckets; ascending from 0.
        lag: Samples that may be under way at once without seeing each other.
        step: How far one decision moves a turn's level; 0 keeps it.
        window: Samples whose scores are compared with, the latest ones; None is all.
        seed: Breaks ties.
        calibration: Scores of other problems.
        before: Decisions of problems before this one: levels go on from where those left them.
            The bound holds whatever they are, also where a budget or a failure cut problems short.
        unseen: Samples of other problems under way, beside those in `before`.

    Raises:
        ConfigError: If an argument is out of range.

    >>> controller = RateController(0.5, lag=1)
    >>> [controller.decide(score, sample=i, turn=0).n for i, score in enumerate((3.0, 1.0, 2.0))]
    [0, 1, 2]
    """

    def __init__(
        self,
        rate: float,
        *,
        buckets: Sequence[int] = BUCKETS,
        lag: int = 1,
        step: float = 0.0,
        window: int | None = None,
        seed: int = 0,
        calibration: TurnScores | None = None,
        before: TurnCounts | None = None,
        unseen: int = 0,
    ) -> None:
        self.buckets, self.before, self._delay = tuple(buckets), before, lag - 1 + unseen
        least = min(lag, 1 if window is None else window)
        if not (0.0 < rate < 1.0 and step >= 0.0 and least >= 1):
            raise ConfigError(
                "needed are a rate in (0, 1), a step of at least 0, a lag and a window of at least "
                f"1, got {rate}, {step}, {lag} and {window}"
            )
        if before is not None and not step:
            raise ConfigError("levels that go on from earlier problems need a step above 0")
        if self.buckets[:1] != (0,) or sorted(set(self.buckets)) != list(self.buckets):
            raise ConfigError(f"buckets begin at 0 and ascend, got {self.buckets}")
        self.rate, self.lag, self.step, self._window, self._seed = rate, lag, step, window, seed
        self._made: defaultdict[int, dict[int, Decision]] = defaultdict(dict)  # by turn and sample
        self._passed: dict[int, float] = {}
        self._counts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._fixed = calibration and weighed_by_bucket(calibration, self.buckets, rate)

    @property
    def waits(self) -> bool:
        """Whether decisions look at those of earlier samples."""
        return self._fixed is None or self.step > 0.0

    @property
    def unclipped(self) -> float:
        """For how many samples of a problem the first turn's rate is proven.

        0 where levels move with decisions that are no independent draws: with carried counts, or
        with a step beside a fixed calibration or a window.
        """
        if self.step and (self._fixed or self.before is not None or self._window is not None):
            return 0
        return unclipped(self.rate, step=self.step, lag=self.lag)

    @property
    def guarantee(self) -> str:
        """What is controlled, at which level, over which unit, and where that says nothing."""
        starts = ", ".join(map(str, self.buckets))
        if self._fixed:
            counts = ", ".join(str(each.n) for each in self._fixed)
            unit = f"on average over problems like those calibrated on (by bucket: {counts})"
        else:
            unit = f"on average over samples, each against those up to {self.lag} before it"
        kept = f"rate: the target takes over {self.rate:g} of the scored chunks in each"
        if self.before is not None:
            bound = bound_in_words(self.rate, step=self.step, delay=self._delay)
            so_far = "; ".join(map(str, self._carried(self.before))) or "no decisions"
            return (
                f"{kept} turn, over all problems of this solver in the order in which they begin; "
                f"{bound}; by bucket so far: {so_far}; nothing is said about correctness"
            )
        proven = "not proven, since levels move with decisions that resemble each other"
        if self.unclipped:
            proven = "proven for the first turn"
            if self.unclipped < math.inf:
                proven += f" of at most {self.unclipped:g} samples: later levels can leave [0, 1]"
        return (
            f"{kept} bucket of turns (from {starts}), {unit}; {proven}; later turns assume that "
            "texts are alike there; nothing is said about correctness"
        )

    def is_ready(self, sample: int, turn: int) -> bool:
        """Return whether all is known that the decision on a sample's turn depends on."""
        return not self.waits or sample - self.lag < len(self._count(turn))

    def decide(self, score: float | None, *, sample: int, turn: int) -> Decision:
        """Decide on a chunk.

        Args:
            score: How unusual it is to the target, larger is worse. None, or what is not finite,
                goes to the target and enters no calibration.
            sample: Its sample's number, from 0 without gaps.
            turn: Its turn, later than those that were decided for the sample.

        Raises:
            ConfigError: If it is not ready, or the turn is over.
        """
        if not self.is_ready(sample, turn):
            raise ConfigError(f"sample {sample} is decided before those up to {sample - self.lag}")
        if self._passed.get(sample, 0) > turn:
            raise ConfigError(f"turn {turn} of sample {sample} is over")
        known = score if score is not None and math.isfinite(score) else None
        above, equal, n = (0.0, 0.0, 0) if known is None else self._ranked(known, sample, turn)
        decision = Decision(
            sample=sample,
            turn=turn,
            bucket=bucket_of(turn, self.buckets),
            score=known,
            above=above,
            equal=equal,
            n=n,
            u=uniform(self._seed, "takeover", sample, turn),
            level=self._level(sample, turn),
        )
        self._made[turn][sample] = decision
        self._passed[sample] = turn + 1
        return decision

    def skip(self, *, sample: int, turn: int) -> None:
        """Note that a sample has done with a turn without a decision."""
        self._passed[sample] = max(turn + 1, self._passed.get(sample, 0))

    def leave(self, sample: int) -> None:
        """Note that a sample has ended, however it did; later ones do not wait for it."""
        self._passed[sample] = math.inf

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions, by sample and turn."""
        made = (one for own in self._made.values() for one in own.values())
        return tuple(sorted(made, key=lambda one: (one.sample, one.turn)))

    @property
    def counts(self) -> TurnCounts:
        """Its own scored decisions and takeovers by turn, those of problems before left out."""
        turns = range(max(self._made, default=-1) + 1)
        own = [[one for one in self._made[t].values() if one.score is not None] for t in turns]
        return TurnCounts(
            decisions=tuple(map(len, own)),
            takeovers=tuple(sum(one.takes_over for one in each) for each in own),
        )

    def rates(self) -> tuple[TurnRate, ...]:
        """Return how often the target took over, by bucket; buckets without a decision left out.

        The bound is that of these decisions alone; infinite where levels came from others.
        """
        step = 0.0 if self.before is not None else self.step
        return self.counts.rates(self.buckets, self.rate, step=step, delay=self.lag - 1)

    def notes(self) -> dict[str, float]:
        """Return what a run tells of it: how often the target took over, in all and by bucket."""
        rates = self.rates()
        told: dict[str, float] = {
            "decisions": sum(each.decisions for each in rates),
            "takeovers": sum(each.takeovers for each in rates),
        }
        told["unscored"] = len(self.decisions) - told["decisions"]
        told |= {f"takeover_rate_{one.first_turn}": one.takeovers / one.decisions for one in rates}
        if self.before is not None:
            for one in self._carried(self.before + self.counts):
                told[f"carried_rate_{one.first_turn}"] = one.takeovers / one.decisions
                told |= {f"carried_bound_{one.first_turn}": one.bound} if one.is_bound else {}
        return told

    def _carried(self, counts: TurnCounts) -> tuple[TurnRate, ...]:
        """Return rates of counts from the first problem on, with their bounds."""
        return counts.rates(self.buckets, self.rate, step=self.step, delay=self._delay)

    def dump(self) -> str:
        """Return the state as JSON: the decisions, and which samples have got how far."""
        passed = {
            one: None if turn == math.inf else int(turn) for one, turn in self._passed.items()
        }
        return _STATE.dump_json(_State(self.decisions, dict(sorted(passed.items())))).decode()

    def restore(self, state: str) -> Self:
        """Take on the state of a controller with the same settings, and return this one."""
        kept = _STATE.validate_json(state)
        for decision in kept.decisions:
            self._made[decision.turn][decision.sample] = decision
        self._passed = {
            one: math.inf if turn is None else turn for one, turn in kept.passed.items()
        }
        return self

    def _count(self, turn: int) -> list[tuple[int, int]]:
        """Return decisions on a turn and takeovers among them, for each sample with all before it.

        It ends at the first sample that has not passed the turn.
        """
        counts, made = self._counts[turn], self._made[turn]
        while self._passed.get(len(counts), 0) > turn:
            decisions, taken = counts[-1] if counts else (0, 0)
            own = made.get(len(counts))
            if own is not None and own.score is not None:
                decisions, taken = decisions + 1, taken + own.takes_over
            counts.append((decisions, taken))
        return counts

    def _ranked(self, score: float, sample: int, turn: int) -> tuple[float, float, int]:
        bucket = bucket_of(turn, self.buckets)
        if self._fixed:
            return self._fixed[bucket].rank(score)
        end = max(0, sample - self.lag + 1)
        start = 0 if self._window is None else max(0, end - self._window)
        turns = [self._made[each] for each in range(self.buckets[bucket], turn + 1)]
        seen = (made.get(other) for made in turns for other in range(start, end))
        known = [one.score for one in seen if one is not None and one.score is not None]
        rank = Scores(known).rank(score)
        return float(rank.above), float(rank.equal), rank.n

    def _level(self, sample: int, turn: int) -> float:
        if not self.step:
            return self.rate
        decisions, taken = self._count(turn)[sample - self.lag] if sample >= self.lag else (0, 0)
        earlier, took = (0, 0) if self.before is None else self.before.at(turn)
        return self.rate + self.step * (self.rate * (decisions + earlier) - taken - took)


@dataclass(frozen=True, slots=True)
class _State:
    decisions: tuple[Decision, ...]
    passed: dict[int, int | None]


_STATE = TypeAdapter(_State)
