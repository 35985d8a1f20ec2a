"""Which strategies of a bench the tests tell apart from plain votes, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tts.cli.words import plain
from tts.evals.figures import Comparison, Summary
from tts.evals.statistics import LEVEL

__all__ = ["KINDS", "label", "told_apart", "where"]

KINDS: Final = {"total": "total tokens", "critical": "critical tokens", "usd": "dollars"}


def label(strategy: str, budget: str) -> str:
    """Return the name of a strategy with its budget, as tables have it."""
    return plain(strategy) if budget == "none" else f"{plain(strategy)} [{plain(budget)}]"


def where(each: Summary) -> str:
    """Return the task and the models of a strategy, in words."""
    return f"{plain(each.task)} on {plain(each.model)}"


def told_apart(summaries: Sequence[Summary]) -> list[str]:
    """Say what the tests tell apart, with the cost it is told apart at."""
    equal: dict[str, list[str]] = {}
    unequal: dict[str, list[str]] = {}
    for each in summaries:
        for one in each.equal:
            if one.p_holm < LEVEL and not one.is_split:
                told = unequal if one.note else equal
                words = f"{label(each.strategy, each.budget)} {_verdict(one)}"
                told.setdefault(where(each), []).append(words)
    if not any(each.equal for each in summaries):
        return []
    test = f"(p (Holm) < {LEVEL:g})"
    lines = [
        f"told apart from plain votes {test}, {place}: {'; '.join(words)}."
        for place, words in equal.items()
    ]
    if not equal:
        but = " where gain and p agree" if any(map(_is_lone, summaries)) else ""
        at = " at equal cost" if unequal else ""
        line = f"nothing is told apart from plain votes{at} here: no p (Holm) is below {LEVEL:g}"
        lines = [f"{line}{at and ' there'}{but}."]
    return lines + [
        f"told apart at another cost {test}, {place}: {'; '.join(words)}."
        for place, words in unequal.items()
    ]


def _verdict(one: Comparison) -> str:
    """Return the end of a sentence on a strategy that is told apart, with the cost it is told at.

    >>> from types import SimpleNamespace
    >>> one = SimpleNamespace(note="capped", off=9.0, samples=16.0, kind="total", difference=0.2)
    >>> _verdict(one)
    'beats all 16 samples, at 10 times their total tokens'
    """
    is_better, cost = one.difference > 0, KINDS[one.kind]
    if not one.note:
        return f"is {'better' if is_better else 'worse'} at equal {cost}"
    some = f"all {one.samples:.0f} samples" if one.note == "capped" else "one sample"
    whose = "their" if one.note == "capped" else "its"
    return (
        f"{'beats' if is_better else 'loses to'} {some}, at {1 + one.off:.3g} times {whose} {cost}"
    )


def _is_lone(each: Summary) -> bool:
    """True if a comparison has a small p, and a gain that points to the other side."""
    return any(one.is_split and one.p_holm < LEVEL for one in each.equal)
