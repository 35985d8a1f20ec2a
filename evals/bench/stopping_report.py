"""What stopping rules answer and cost, replayed on problems that were sampled in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tts.answers import equivalent
from tts.canonical import canonical
from tts.errors import NotCertifiable
from tts.evals.statistics import Interval, bootstrap
from tts.pictures import Figure, Mark
from tts.stopping import Never, StoppingRule
from tts.stopping.binomial import upper_bound
from tts.stopping.calibration import Recording, Target
from tts.stopping.replay import Replayed, replay_all
from tts.stopping.risk import certify

__all__ = [
    "SPECULATE",
    "Halves",
    "Outcome",
    "Row",
    "frontier",
    "halves",
    "most_saving",
    "outcomes",
    "row_of",
]

SPECULATE: Final = (0, 2, 8)
"""Calls in flight beyond what a rule allows."""
_SPLITS: Final = 400

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rule on every problem; each field has one number a problem.

    Attributes:
        right: 1 where its answer is the right one.
        differs: 1 where its answer is not that of the full vote.
        samples: Candidates that were consumed.
        rounds: Calls on the longest chain.
        total: Prompt and completion tokens that were sent for.
        critical: Prompt and completion tokens on the longest chain.
    """

    right: Floats
    differs: Floats
    samples: Floats
    rounds: Floats
    total: Floats
    critical: Floats

    def fails(self, target: Target) -> Floats:
        """Return 1 for each problem on which the event of a target happened."""
        return self.differs if target.kind == "disagreement" else 1.0 - self.right


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report; every number with its 95% interval over problems."""

    name: str
    speculate: int
    accuracy: Interval
    gain: Interval
    """Accuracy above the full vote's, paired."""
    differs: Interval
    """Share of answers that are not the full vote's; the interval is the exact one."""
    samples: Interval
    rounds: Interval
    saved: Interval
    """Share of the full vote's tokens, prompts included, that were not sent for."""
    critical: Interval
    """Tokens on the longest chain over those of the full vote, whose calls all run at once."""
    over_esc: Interval
    """Share saved above that of ESC with its published window, paired."""


def outcomes(
    rules: Sequence[StoppingRule], problems: Sequence[Recording], n: int, speculate: int
) -> list[Outcome]:
    """Replay rules on problems that have `n` samples each and known answers."""
    runs = [
        replay_all([*rules, Never()], one.candidates, n, speculate=speculate) for one in problems
    ]
    full = [row[-1].key for row in runs]
    truths = [canonical(one.truth or "") for one in problems]
    return [_outcome([row[at] for row in runs], full, truths) for at in range(len(rules))]


def _outcome(
    runs: Sequence[Replayed], full: Sequence[str | None], truths: Sequence[str]
) -> Outcome:
    return Outcome(
        right=np.array([_same(run.key, truth) for run, truth in zip(runs, truths, strict=True)]),
        differs=np.array([1.0 - _same(run.key, key) for run, key in zip(runs, full, strict=True)]),
        samples=np.array([run.samples for run in runs], float),
        rounds=np.array([run.rounds for run in runs], float),
        total=np.array([run.total_tokens for run in runs], float),
        critical=np.array([run.critical_tokens for run in runs], float),
    )


def _same(one: str | None, other: str | None) -> float:
    if one is None or other is None:
        return float(one is other)
    return float(equivalent(one, other))


def row_of(name: str, speculate: int, outcome: Outcome, full: Outcome, esc: Outcome) -> Row:
    """Return a rule's line, compared with the full vote and with ESC on the same problems."""
    return Row(
        name=name,
        speculate=speculate,
        accuracy=bootstrap(outcome.right),
        gain=bootstrap(outcome.right - full.right),
        differs=_exact(outcome.differs),
        samples=bootstrap(outcome.samples),
        rounds=bootstrap(outcome.rounds),
        saved=_share(full.total - outcome.total, full.total),
        critical=_share(outcome.critical, full.critical),
        over_esc=_share(esc.total - outcome.total, full.total),
    )


def _exact(failures: Floats) -> Interval:
    """Return a rate with its Clopper-Pearson interval: a bootstrap of no failures has no width."""
    count, n = int(failures.sum()), len(failures)
    low = 1.0 - upper_bound(n - count, n, 0.025)
    return Interval(count / n, low, upper_bound(count, n, 0.025))


def _share(part: Floats, whole: Floats) -> Interval:
    """Return a ratio of sums over problems with its bootstrap interval."""
    picks = np.random.default_rng(0).integers(len(part), size=(2000, len(part)))
    low, high = np.quantile(part[picks].sum(1) / whole[picks].sum(1), [0.025, 0.975])
    return Interval(float(part.sum() / whole.sum()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Halves:
    """A calibration tried many times: on a random half of the problems, judged on the other.

    Attributes:
        target: What was to be certified.
        certified: Share of the halves that certified a setting.
        saved: Mean share of tokens saved on the other half, where one did; None if none did.
        fails: Mean share of problems there on which the target's event happened; likewise.
        exceeds: Share of all halves that certified a setting which fails above the target's level
            on all problems together; at most delta is promised for problems without end.
    """

    target: str
    certified: float
    saved: float | None
    fails: float | None
    exceeds: float


def most_saving(ladder: Sequence[Outcome], target: Target, delta: float, among: Ints) -> int:
    """Return which certified setting spends least on some of the problems.

    Raises:
        NotCertifiable: If none is certified on them.
    """
    losses = [(each.fails(target)[among] > 0).tolist() for each in ladder]
    settings = certify(losses, target.level, delta).certified
    return min(settings, key=lambda at: float(ladder[at].total[among].mean()))


def halves(ladder: Sequence[Outcome], full: Outcome, target: Target, delta: float) -> Halves:
    """Calibrate a ladder of settings on random halves."""
    rng = np.random.default_rng(1)
    n = len(full.total)
    saved, failed, exceeds = list[float](), list[float](), 0
    for _ in range(_SPLITS):
        order = rng.permutation(n)
        known, other = order[: n // 2], order[n // 2 :]
        try:
            best = ladder[most_saving(ladder, target, delta, known)]
        except NotCertifiable:
            continue
        fails = best.fails(target)
        saved.append(1.0 - float(best.total[other].sum() / full.total[other].sum()))
        failed.append(float(fails[other].mean()))
        exceeds += bool(fails.mean() > target.level)
    return Halves(
        target=str(target),
        certified=len(saved) / _SPLITS,
        saved=float(np.mean(saved)) if saved else None,
        fails=float(np.mean(failed)) if failed else None,
        exceeds=exceeds / _SPLITS,
    )


def frontier(rows: Sequence[Row]) -> Figure:
    """Return what rules save against how often they answer otherwise than the full vote."""
    colors = {True: "steelblue", False: "seagreen"}
    marks = [
        Mark(
            x=100 * row.saved.mean,
            y=100 * row.differs.mean,
            low=100 * row.differs.low,
            high=100 * row.differs.high,
            name=row.name,
            color=colors[row.name.startswith("calibrated")],
        )
        for row in rows
    ]
    return Figure(
        marks=marks,
        across="tokens saved, % of the full vote's",
        up="answers that are not the full vote's, %, with 95% interval",
    )
