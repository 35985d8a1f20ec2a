"""The figures of a bench: what a summary of a strategy on a task holds, and its row in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tts.evals.statistics import Interval

__all__ = ["Comparison", "Point", "Repeated", "Saving", "Summary"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A strategy against self-consistency at equal cost; pairs of the same problem and seed."""

    kind: str
    """`total`, `critical` or `usd`: which cost is equal."""
    pairs: int
    """Those in which both sides are known."""
    problems: int
    """Different ones among them: several seeds of a problem are one unit."""
    left_out: int
    """Rows of the strategy without a pair: the pool failed there, or lost too many samples."""
    failed: int
    """Pairs in which the strategy's run failed: `gain` and `baseline` hold whatever it would have
    answered, at what it has cost, or would cost if the next try succeeded, where that is more."""
    unjudged: int
    """Pairs in which an answer could not be judged: `gain` and `baseline` hold whatever it is, and
    `better` and `worse` count what is known, `difference` is the middle, and `p` is of the less
    certain end, or 1 where the ends point apart."""
    samples: float
    """Of self-consistency: what costs as much as the strategy, on average over the pairs."""
    note: str
    """`capped`: the strategy costs more than the whole pool; `dearer`: less than one sample; by
    more than half a percent."""
    baseline: Interval
    """Its accuracy with so many samples."""
    gain: Interval
    """The strategy's accuracy less that; by bootstrap over problems."""
    better: int
    """Problems on which the strategy did better, over its seeds, than one vote each of so many
    samples, the first of the pool by ticket; where N is between two whole numbers, some problems
    get the one and some the other. How many there are `p` does not test, but with one seed."""
    worse: int
    difference: float
    """The strategy's accuracy less that of one vote each: what `p` tests; in [-1, 1]."""
    p: float
    """That it is 0: of the sign-flip test over problems, McNemar's exact test with one seed."""
    p_holm: float
    """The same, adjusted for all comparisons of the report."""
    detectable: float
    """The smallest true gain that so many problems would show with a chance of 80%, in `p_holm` if
    no other comparison showed one; in [0, 1]."""
    by_problem: tuple[float, ...] = ()
    """The difference on each problem, the mean over its seeds at the less certain end; [-1, 1]."""
    off: float = 0.0
    """What the strategy costs more than these votes, or less if negative, as a share of theirs."""

    @property
    def is_split(self) -> bool:
        """True if the gain points to one side and the difference that `p` tests to the other.

        A gain that is printed as 0.0 points to neither side.
        """
        shown = round(self.gain.mean, 3)
        return shown * self.difference < 0.0

    @property
    def is_result(self) -> bool:
        """True if the gain's interval leaves out 0."""
        return not self.gain.low <= 0.0 <= self.gain.high


@dataclass(frozen=True, slots=True)
class Point:
    """A vote of k stored samples, on average over random draws of them."""

    k: int
    accuracy: Interval
    pass_at_k: float
    """Chance that any of k is right (unbiased)."""
    total_tokens: float
    critical_tokens: float
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """Problems that were tried again because their run failed, or could not be judged."""

    problems: int = 0
    """Rows, those of other seeds apart."""
    tries: int = 0
    """Tries before the one that counts, of all of them."""
    tokens: int = 0
    """What these have paid in vain, in all."""
    usd: float | None = 0.0
    """Dollars likewise; None where a price is unknown."""
    killed: int = 0
    """Tries whose worker was killed: what they have paid is not known, and in no cost."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What a stopping rule has spent beside the same strategy without one, on the same problems."""

    full: str
    """The strategy whose rule is `never`."""
    budget: str
    """Its budget."""
    pairs: int
    """Runs of the same problem and seed that failed on neither side."""
    tokens: int
    """Of all these runs with the rule."""
    full_tokens: int
    """Without it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A strategy on a task; costs are means a problem, over the runs that did not fail."""

    task: str
    model: str
    strategy: str
    budget: str
    is_baseline: bool
    seeds: int
    problems: int
    """Different problems that have a row."""
    n: int
    """Rows with a verdict: what accuracy is over."""
    accuracy: Interval | None
    """None where no row has a verdict."""
    at_worst: float | None
    """Accuracy if all that failed were wrong."""
    oracle: float | None
    """Share of problems that any candidate solved."""
    means: dict[str, float | None]
    wall_seconds: float | None
    """Over the runs that made all their calls themselves; None where there is none."""
    timed: int
    """How many these are."""
    failed: int
    """Runs that raised an error: the model's side, or the strategy's."""
    check_failures: int
    """Answers that the checker could not judge."""
    unjudged_draws: int
    """Candidates that it could not judge, answers that were returned or not."""
    parse_failures: int
    failed_calls: int
    exhausted: int
    """Runs that a budget ended."""
    stopped: dict[str, int]
    """Runs that a rule ended, by its name."""
    why_failed: str | None = None
    """The error that most of the failed runs have; None where none failed."""
    failed_otherwise: int = 0
    """Failed runs that have another error."""
    repeated: Repeated = field(default_factory=Repeated)
    """Of the runs that did not fail; costs hold what it tells."""
    curve: tuple[Point, ...] = ()
    """Of the votes of k samples, where every problem has equally many."""
    equal: tuple[Comparison, ...] = ()
    unequal: dict[str, str] = field(default_factory=dict)
    """Why there is no comparison at an equal cost that was asked for, by its kind."""
    same_as: str | None = None
    """An earlier budget of the same strategy with the very same outcome and tokens on every
    problem: comparisons with one are those with the other, and count once."""
    saving: Saving | None = None
    """Of its stopping rule, where the suite has the strategy without one too."""

    @property
    def runs(self) -> int:
        """All rows: judged, not judged, and failed."""
        return self.n + self.check_failures + self.failed

    def report(self) -> dict[str, Any]:
        """Return the row that `tts bench --json` prints: stable keys, JSON values."""
        accuracy = self.accuracy
        keys = ("task", "model", "strategy", "budget", "is_baseline", "seeds", "problems", "n")
        failures = {
            "model": self.failed,
            "checker": self.check_failures,
            "unjudged_draws": self.unjudged_draws,
            "parse": self.parse_failures,
            "calls": self.failed_calls,
        }
        return {
            **{key: getattr(self, key) for key in keys},
            "accuracy": None if accuracy is None else accuracy.mean,
            "ci95": None if accuracy is None else [accuracy.low, accuracy.high],
            "accuracy_at_worst": self.at_worst,
            "oracle": self.oracle,
            **self.means,
            "wall_seconds": self.wall_seconds,
            "why_failed": self.why_failed,
            "timed": self.timed,
            "errors": self.failed + self.check_failures,
            "failures": failures,
            "budget_exhausted": self.exhausted,
            "stopped_by": self.stopped,
            "repeated": asdict(self.repeated),
            "pass_at_k": {str(point.k): point.pass_at_k for point in self.curve},
            "maj_at_k": {str(point.k): point.accuracy.mean for point in self.curve},
            "equal": {each.kind: _told(each) for each in self.equal},
            "unequal": self.unequal,
            "same_as": self.same_as,
            "saving": None if self.saving is None else asdict(self.saving),
        }


def _told(each: Comparison) -> dict[str, Any]:
    return {
        "pairs": each.pairs,
        "problems": each.problems,
        "left_out": each.left_out,
        "failed": each.failed,
        "unjudged": each.unjudged,
        "samples": each.samples,
        "note": each.note or None,
        "accuracy": each.baseline.mean,
        "ci95": [each.baseline.low, each.baseline.high],
        "gain": each.gain.mean,
        "gain_ci95": [each.gain.low, each.gain.high],
        "better": each.better,
        "worse": each.worse,
        "difference": each.difference,
        "p": each.p,
        "p_holm": each.p_holm,
        "detectable": each.detectable,
        "cost_difference": each.off,
    }
