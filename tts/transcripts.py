"""Calls and what they came to, as a model is shown them: one a line, whatever the results hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tts.errors import ToolError
from tts.executed import as_text
from tts.plans import Bound

__all__ = ["one_line", "places", "transcript"]

_MOST_GAPS = 40


def transcript(calls: Mapping[int, Bound], outcome: Callable[[int], Any]) -> list[str]:
    """Return the calls with their results, each at the place of its number.

    Args:
        calls: By number.
        outcome: Tells a call's result, or its error as a value.
    """
    return [
        f"{one_line(calls[number].call.text)} = {_result(calls[number], outcome(number))}"
        if number in calls
        else "(no call)"
        for number in places(calls)
    ]


def places(calls: Mapping[int, Bound]) -> list[int]:
    """Return the number of the call for each line; prompts number lines from 1.

    Numbers that the plan left out have lines too, unless there are very many.
    """
    last = max(calls, default=0)
    is_dense = 0 not in calls and last - len(calls) <= _MOST_GAPS
    return list(range(1, last + 1)) if is_dense else sorted(calls)


def one_line(text: str) -> str:
    """Return a text without its line ends: nothing in it can begin a line of a prompt."""
    return " ".join(line for part in text.splitlines() if (line := part.strip()))


def _result(bound: Bound, result: Any) -> str:
    if isinstance(result, ToolError):
        return one_line(f"error: {result.reason}")
    if isinstance(result, Exception):
        return one_line(f"error: {as_text(result)}")
    return one_line(bound.tool.show(result))
