"""What `tts bench` says under its tables of runs that failed, and of answers without a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tts.cli.told_apart import label, where
from tts.cli.words import plain
from tts.evals.figures import Summary

__all__ = ["lost_calls", "repeated", "unjudged", "why_failed"]

_REASONS: Final = 5
"""Most strategies of which it is said why runs failed."""
_LONGEST: Final = 200
"""Characters of an error that are told."""


def why_failed(summaries: Sequence[Summary]) -> list[str]:
    """Say what runs failed of, most often, and how many with other messages."""
    failed = [each for each in summaries if each.why_failed is not None]
    lines = [
        f"failed: {each.failed} of {label(each.strategy, each.budget)} on {where(each)}, most "
        f"often: {_cut(plain(each.why_failed or ''))}"
        + (f"; {each.failed_otherwise} with other messages" if each.failed_otherwise else "")
        for each in failed[:_REASONS]
    ]
    more = len(failed) - _REASONS
    return (
        [*lines, f"failed, too: runs of {more} more entries, as why_failed of --json tells"]
        if more > 0
        else lines
    )


def _cut(line: str) -> str:
    """Return a line, or so much of it that what is left out is told beside it.

    >>> _cut("x" * 1000) == "x" * 200 + "... (800 more characters, in --json)"
    True
    """
    left_out = len(line) - _LONGEST
    return f"{line[:_LONGEST]}... ({left_out} more characters, in --json)" if left_out > 0 else line


def unjudged(summaries: Sequence[Summary]) -> list[str]:
    """Say how runs without a verdict count, in accuracies and in comparisons."""
    lines = []
    if any(each.failed or each.check_failures for each in summaries):
        lines.append("at worst: accuracy if all that failed or could not be judged were wrong.")
    lost = max((one.failed for each in summaries for one in each.equal), default=0)
    if lost:
        lines.append(
            f"runs that failed: up to {lost} in a comparison, where they count as right and as "
            "wrong: gains are in the middle, and intervals hold both ends; --resume tries them "
            "again."
        )
    unknown = max((one.unjudged for each in summaries for one in each.equal), default=0)
    if unknown:
        lines.append(
            f"pairs with an answer that could not be judged: up to {unknown} in a comparison; "
            "gains are in the middle of what these may be, and intervals hold both ends."
        )
    return lines


def repeated(summaries: Sequence[Summary]) -> list[str]:
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


def lost_calls(summaries: Sequence[Summary]) -> list[str]:
    """Say whose votes are of fewer samples: no column of the table shows it."""
    lost: Counter[str] = Counter()
    for each in summaries:
        lost[label(each.strategy, each.budget)] += each.failed_calls
    told = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
    if not told:
        return []
    return [
        f"calls that failed for good: {told} (a shared call counts for each). Votes there are of "
        "fewer samples, and --resume does not ask for them again: a new --out does, and for "
        "nothing else if calls.sqlite is copied into it first."
    ]
