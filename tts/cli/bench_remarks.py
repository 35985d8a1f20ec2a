"""What `tts bench` says under its tables: what the figures alone would let one forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tts.cli.words import plain
from tts.evals.figures import Comparison, Summary

__all__ = ["FEW", "KINDS", "is_small", "label", "remarks"]

KINDS: Final = {"total": "total tokens", "critical": "critical tokens", "usd": "dollars"}
FEW: Final = "too few"
_LEAST: Final = 6
"""Problems without which no exact test of better against worse has p < 0.05."""


def is_small(one: Comparison) -> bool:
    """Return True if a comparison has too few problems to show anything."""
    return one.problems < _LEAST


def label(strategy: str, budget: str) -> str:
    """Return the name of a strategy with its budget, as tables have it."""
    return plain(strategy) if budget == "none" else f"{plain(strategy)} [{plain(budget)}]"


def remarks(summaries: Sequence[Summary]) -> list[str]:
    """Return the lines under the tables of a bench."""
    every = [one for each in summaries for one in each.equal]
    lines = ["", *_result(summaries), *_unjudged(summaries), *_repeated(summaries)]
    lines += _timed(summaries)
    lines += [*_lost_calls(summaries), *_ended(summaries), *_without_comparison(summaries)]
    if not every:
        return lines if len(lines) > 1 else []
    lines += [*_fewer_pairs(summaries), _alarms(len(every)), _GAINS]
    lines.append(_reach(every))
    if any(map(is_small, every)):
        lines.append(
            f"{FEW}: with fewer than {_LEAST} problems no difference can have p < {_LEVEL:g}, and "
            "an interval holds all or nearly all that is possible."
        )
    notes = {one.note for one in every}
    if "capped" in notes:
        lines.append(
            "capped: the strategy costs more than the whole pool, which is the comparison then; "
            "at equal total tokens or dollars, a larger baseline: {samples: ...} would be fairer."
        )
    if "dearer" in notes:
        lines.append("dearer: the strategy costs less than the one sample it is compared with.")
    return lines


def _result(summaries: Sequence[Summary]) -> list[str]:
    """Say what the tests tell apart, before all that has to be known to believe it."""
    told: dict[str, list[str]] = {}
    for each in summaries:
        for one in (one for one in each.equal if one.p_holm < _LEVEL):
            where = f"{plain(each.task)} on {plain(each.model)}"
            how = "better" if one.better > one.worse else "worse"
            words = f"{label(each.strategy, each.budget)} is {how} at equal {KINDS[one.kind]}"
            told.setdefault(where, []).append(words)
    if told:
        return [
            f"told apart from plain votes (p (Holm) < {_LEVEL:g}), {where}: {'; '.join(words)}."
            for where, words in told.items()
        ]
    if not any(each.equal for each in summaries):
        return []
    return [f"nothing is told apart from plain votes here: no p (Holm) is below {_LEVEL:g}."]


def _timed(summaries: Sequence[Summary]) -> list[str]:
    if all(each.means["critical_seconds"] is None for each in summaries):
        return []
    told = "s: seconds on the longest chain of calls, each call as it was first measured"
    if any(each.timed < each.n + each.check_failures for each in summaries):
        told += ", for whichever strategy made it; share: false measures everyone's own"
    return [f"{told}."]


def _unjudged(summaries: Sequence[Summary]) -> list[str]:
    lines = []
    if any(each.failed or each.check_failures for each in summaries):
        lines.append("at worst: accuracy if all that failed or could not be judged were wrong.")
    unknown = max((one.unjudged for each in summaries for one in each.equal), default=0)
    if unknown:
        lines.append(
            f"pairs with an answer that could not be judged: up to {unknown} in a comparison; "
            "gains are in the middle of what these may be, and intervals hold both ends."
        )
    return lines


def _repeated(summaries: Sequence[Summary]) -> list[str]:
    """Say what was paid in vain: it is in the costs, though not in those of a bench without it."""
    again = [each.repeated for each in summaries if each.repeated.problems]
    if not again:
        return []
    rows, tokens = sum(each.problems for each in again), sum(each.tokens for each in again)
    some = "1 run that" if rows == 1 else f"{rows} runs that"
    told = (
        f"tried again: {some} had failed or could not be judged. {tokens:,} tokens of their "
        "earlier tries were in vain, and are in calls, total and $; critical and s are those of "
        "the last try."
    )
    killed = sum(each.killed for each in again)
    if killed:
        tries = "1 earlier try" if killed == 1 else f"{killed} earlier tries"
        told += (
            f" {tries} ended with a killed worker: what that has cost beside calls that were kept "
            "is not known."
        )
    return [told]


_LEVEL: Final = 0.05
_GAINS: Final = (
    "gain: accuracy less that of plain votes of so many samples, on average over random orders of "
    "the pool. better:worse: problems against one such vote each, of the first samples that were "
    "drawn; a strategy that is that vote itself has 0:0 or nearly, and its gain is the luck of the "
    "order."
)


def _alarms(comparisons: int) -> str:
    """Say how many differences chance alone would show."""
    some = f"{comparisons} comparison{'s' if comparisons > 1 else ''}"
    return (
        f"{some}: if nothing differed, at most {_LEVEL * comparisons:g} would have p < {_LEVEL:g} "
        f"on average; that any has p (Holm) < {_LEVEL:g} has a chance of at most {_LEVEL:g}."
    )


def _without_comparison(summaries: Sequence[Summary]) -> list[str]:
    whose: dict[tuple[str, str], list[str]] = {}
    for each in summaries:
        for kind, why in each.unequal.items():
            whose.setdefault((kind, why), []).append(label(each.strategy, each.budget))
    return [
        f"no comparison at equal {KINDS[kind]} for {', '.join(dict.fromkeys(names))}: {why}"
        + (_PRICES if kind == "usd" else "")
        for (kind, why), names in whose.items()
    ]


def _reach(every: Sequence[Comparison]) -> str:
    """Say what so few problems can show."""
    high, low = (round(100 * pick(one.detectable for one in every)) for pick in (max, min))
    points = f"{low}" if low == high else f"{high} to {low}"
    few, problems = (pick(one.problems for one in every) for pick in (min, max))
    span = f"{problems}" if few == problems else f"{few} to {problems}"
    some = "1 problem shows" if problems == 1 else f"{span} problems show"
    shown = f"{some} true gains of {points} points or more with a chance of 80%."
    small = sum(not one.is_result for one in every)
    if not small:
        return shown
    held = f"{small} gains have intervals that hold" if small > 1 else "1 gain's interval holds"
    return f"{held} 0, which is no proof of equality: {shown}"


def _lost_calls(summaries: Sequence[Summary]) -> list[str]:
    """Say whose votes are of fewer samples: no column of the table shows it."""
    lost: Counter[str] = Counter()
    for each in summaries:
        lost[label(each.strategy, each.budget)] += each.failed_calls
    told = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
    if not told:
        return []
    return [
        f"calls that failed for good: {told} (a shared call counts for each). Votes there are of "
        "fewer samples, and --resume does not ask for them again."
    ]


def _ended(summaries: Sequence[Summary]) -> list[str]:
    """Say how often each budget ended a run: one that ended none changes nothing."""
    ended: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for each in summaries:
        ended[each.budget] += each.exhausted
        runs[each.budget] += each.n + each.check_failures
    return [
        f"budget {plain(name)} ended {ended[name]} of {count} runs."
        for name, count in runs.items()
        if name != "none"
    ]


_PRICES: Final = (
    "; give each model its price: {input: ..., output: ...}, or compare at equal total tokens"
)


def _fewer_pairs(summaries: Sequence[Summary]) -> list[str]:
    """Say which comparisons are of fewer runs than the accuracy beside them."""
    told = [
        f"{label(each.strategy, each.budget)} {one.pairs} of {each.n} ({KINDS[one.kind]})"
        for each in summaries
        for one in each.equal
        if one.pairs < each.n
    ]
    return [f"compared on fewer runs than n: {', '.join(told)}."] if told else []
