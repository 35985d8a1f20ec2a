"""What `tts bench` says under its tables: what the figures alone would let one forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tts.cli.failure_remarks import lost_calls, repeated, unjudged, why_failed
from tts.cli.told_apart import KINDS, label, told_apart, where
from tts.cli.words import plain
from tts.evals.comparing import FREE, UNPRICED
from tts.evals.figures import Comparison, Saving, Summary
from tts.evals.statistics import LEVEL

__all__ = ["marks", "remarks"]

_FEW: Final = "too few"
_SPLIT: Final = "signs differ"
_LEAST: Final = 6
"""Problems without which no exact test has p < 0.05."""


def marks(one: Comparison) -> str:
    """Return the words beside a comparison, which are explained under the tables."""
    note = f"{one.note} {_off(one)}" if one.note else ""
    return ", ".join(filter(None, [note, _FEW * _is_small(one), _SPLIT * one.is_split]))


def _is_small(one: Comparison) -> bool:
    return one.problems < _LEAST


def _off(one: Comparison) -> str:
    """Return by how much more, or less, the strategy costs than what it is compared with.

    >>> from types import SimpleNamespace
    >>> _off(SimpleNamespace(off=-0.0123)), _off(SimpleNamespace(off=1.5))
    ('-1.2%', '+150%')
    """
    return f"{100 * one.off:+.{1 if abs(one.off) < 0.1 else 0}f}%"


def remarks(summaries: Sequence[Summary]) -> list[str]:
    """Return the lines under the tables of a bench."""
    lines = ["", *told_apart(summaries), *why_failed(summaries), *unjudged(summaries)]
    lines += [*repeated(summaries), *_seeds(summaries)]
    lines += [*_other_problems(summaries), *_timed(summaries), *lost_calls(summaries)]
    lines += [*_ended(summaries), *_same(summaries), *_savings(summaries)]
    lines += _without_comparison(summaries)
    every = [one for each in summaries if each.same_as is None for one in each.equal]
    if not every:
        return lines if len(lines) > 1 else []
    lines += [*_fewer_pairs(summaries), _alarms(len(every)), _GAINS, *_reach(every)]
    return lines + _marked(every)


def _marked(every: Sequence[Comparison]) -> list[str]:
    """Explain the marks that stand beside comparisons."""
    lines = []
    if any(map(_is_small, every)):
        lines.append(
            f"{_FEW}: with fewer than {_LEAST} problems no difference can have p < {LEVEL:g}, and "
            "an interval holds all or nearly all that is possible."
        )
    if any(one.is_split for one in every):
        lines.append(
            f"{_SPLIT}: better on average over votes in many orders, and worse than one vote "
            "each, which p is against; or the other way round. Neither is a result here."
        )
    notes = {one.note for one in every}
    capped = {one.kind for one in every if one.note == "capped"}
    if capped:
        fairer = (
            "; a larger baseline: {samples: ...} would be fairer" if capped - {"critical"} else ""
        )
        lines.append(
            "capped: the strategy costs so much more than the whole pool, which is the comparison "
            f"then{fairer}."
        )
    if "dearer" in notes:
        lines.append("dearer: the strategy costs so much less than the one sample it is beside.")
    near = max((abs(one.off) for one in every if not one.note), default=0.0)
    if near:
        lines.append(f"costs that differ by up to 0.5% count as equal: here by up to {near:.2%}.")
    return lines


def _timed(summaries: Sequence[Summary]) -> list[str]:
    if all(each.means["critical_seconds"] is None for each in summaries):
        return []
    told = "s: seconds on the longest chain of calls, each call as it was first measured"
    if any(each.timed < each.n + each.check_failures for each in summaries):
        told += ", for whichever strategy made it; share: false measures everyone's own"
    return [f"{told}."]


def _other_problems(summaries: Sequence[Summary]) -> list[str]:
    """Say whose accuracies are of fewer runs: those of a smaller --limit, or of work to do."""
    lines = []
    places = dict.fromkeys((each.task, each.model) for each in summaries)
    for task, model in places:
        own = [each for each in summaries if (each.task, each.model) == (task, model)]
        names: dict[int, list[str]] = {}
        for each in own:
            names.setdefault(each.runs, []).append(label(each.strategy, each.budget))
        if len(names) > 1:
            told = "; ".join(f"{runs} of {', '.join(whose)}" for runs, whose in names.items())
            lines.append(
                f"runs differ on {plain(task)} on {plain(model)}: {told}. Accuracies and costs "
                "there are of different problems, while each gain is on problems that both sides "
                "have solved; --resume solves the rest, with no --limit or a higher one."
            )
    return lines


def _same(summaries: Sequence[Summary]) -> list[str]:
    """Say which budgets changed nothing; the same rows are no second test."""
    whose: dict[tuple[str, str, str], list[str]] = {}
    for each in summaries:
        if each.same_as is not None:
            found = (each.budget, each.same_as, where(each))
            whose.setdefault(found, []).append(plain(each.strategy))
    once = "; their comparisons count once" if any(each.equal for each in summaries) else ""
    return [
        f"budget {plain(budget)} changed nothing on {place} for {', '.join(names)}: answers, "
        f"verdicts and costs are those {_under(first)} on every problem{once}."
        for (budget, first, place), names in whose.items()
    ]


def _under(budget: str) -> str:
    return "without a budget" if budget == "none" else f"under {plain(budget)}"


def _savings(summaries: Sequence[Summary]) -> list[str]:
    """Say what stopping rules have saved, where the suite has the same strategy without one."""
    told: dict[tuple[str, str], list[tuple[str, Saving]]] = {}
    for each in summaries:
        saved = each.saving
        if saved is not None and saved.full_tokens and each.same_as is None:
            full = label(saved.full, saved.budget)
            rule = (label(each.strategy, each.budget), saved)
            told.setdefault((where(each), full), []).append(rule)
    return [_saved(place, full, rules) for (place, full), rules in told.items()]


def _saved(place: str, full: str, rules: Sequence[tuple[str, Saving]]) -> str:
    """Say what rules have saved of one strategy's tokens, or cost more: in whole percents."""
    means = [saved.full_tokens / saved.pairs for _, saved in rules]
    run = " to ".join(dict.fromkeys(f"{mean:,.0f}" for mean in (min(means), max(means))))
    shares = [(name, round(100 * (1 - saved.tokens / saved.full_tokens))) for name, saved in rules]
    less = ", ".join(f"{name} {share}%" for name, share in shares if share >= 0)
    more = ", ".join(f"{name} has cost {-share}% more" for name, share in shares if share < 0)
    what = "tokens that stopping rules have saved" if less else "stopping rules have saved nothing"
    told = "; ".join(filter(None, [less, more]))
    return f"{what} of {full} ({run} a run) on {place}: {told}."


_GAINS: Final = (
    "plain votes: self-consistency of so many samples, taken from those of the row baseline. gain: "
    "accuracy less theirs, on average over random orders of the samples. p: whether it differs "
    "from one such vote each, of the first samples that were drawn; a strategy that is that vote "
    "itself differs from it nowhere or nearly, and its gain is the luck of the order. "
    "better:worse: problems against that vote; p weighs each by how many of its seeds differ."
)


def _alarms(comparisons: int) -> str:
    """Say how many differences chance alone would show."""
    some = f"{comparisons} comparison{'s' if comparisons > 1 else ''}"
    return (
        f"{some}: if nothing differed, about {LEVEL * comparisons:g} would have p < {LEVEL:g} by "
        f"chance, and in {LEVEL:.0%} of such benches any would have p (Holm) < {LEVEL:g}. Both are "
        "less where few problems differ, and up to twice that where costs vary a lot between "
        "problems, or where few problems that are won make up for many that are lost."
    )


def _without_comparison(summaries: Sequence[Summary]) -> list[str]:
    whose: dict[tuple[str, str], list[str]] = {}
    for each in summaries:
        for kind, why in each.unequal.items():
            whose.setdefault((kind, why), []).append(label(each.strategy, each.budget))
    return [
        f"no comparison at equal {KINDS[kind]} for {', '.join(dict.fromkeys(names))}: {why}"
        + (_PRICES if kind == "usd" and why.startswith((UNPRICED, FREE)) else "")
        for (kind, why), names in whose.items()
    ]


def _reach(comparisons: Sequence[Comparison]) -> list[str]:
    """Say what so few problems can show; of those that can show nothing a mark says so."""
    every = [one for one in comparisons if not _is_small(one)]
    if not every:
        return []
    high, low = (round(100 * pick(one.detectable for one in every)) for pick in (max, min))
    points = f"{low}" if low == high else f"{low} to {high}"
    few, problems = (pick(one.problems for one in every) for pick in (min, max))
    span = f"{problems}" if few == problems else f"{few} to {problems}"
    alone = ", if nothing else differs" if len(every) > 1 else ""
    seen = f"with a chance of 80% in p (Holm){alone}"
    shown = f"{span} problems show true gains of {points} points or more {seen}."
    small = sum(not one.is_result for one in every)
    if not small:
        return [shown]
    held = f"{small} gains have intervals that hold" if small > 1 else "1 gain's interval holds"
    return [f"{held} 0, which is no proof of equality: {shown}"]


def _seeds(summaries: Sequence[Summary]) -> list[str]:
    seeds = max((each.seeds for each in summaries), default=1)
    return [f"n: runs, of each problem one for each of {seeds} seeds."] if seeds > 1 else []


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
        if name != "none" and ended[name]
    ]


_PRICES: Final = (
    "; give each model its price: {input: ..., output: ...}, or compare at equal total tokens"
)


def _fewer_pairs(summaries: Sequence[Summary]) -> list[str]:
    """Say which comparisons are of fewer runs than there are."""
    told: dict[str, list[str]] = {}
    for each in summaries:
        kinds: dict[str, list[str]] = {}
        for one in each.equal:
            if one.left_out:
                some = f"{one.pairs} of {one.pairs + one.left_out}"
                kinds.setdefault(some, []).append(KINDS[one.kind])
        for some, at in kinds.items():
            only = "" if len(at) == len(each.equal) else f" (at equal {', '.join(at)})"
            told.setdefault(some, []).append(label(each.strategy, each.budget) + only)
    if not told:
        return []
    runs = "; ".join(f"{some} of {', '.join(names)}" for some, names in told.items())
    return [
        f"compared on fewer runs than there are: {runs}. The others have no pool of the baseline's "
        "samples beside them: it is not drawn yet, or lost more than a tenth of its calls."
    ]
