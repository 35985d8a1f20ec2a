"""Calls and what they came to, as a model is shown them: one a line, whatever the results hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tts.errors import ToolError
from tts.executed import as_text
from tts.plans import Bound

__all__ = ["one_line", "transcript"]


def transcript(calls: Mapping[int, Bound], outcome: Callable[[int], Any]) -> list[str]:
    """Return the calls with their results.

    Args:
        calls: By number.
        outcome: Tells a call's result, or its error as a value.
    """
    return [
        f"{one_line(bound.call.text)} = {_result(bound, outcome(number))}"
        for number, bound in calls.items()
    ]


def one_line(text: str) -> str:
    """Return a text without its line ends: nothing in it can begin a line of a prompt."""
    return " ".join(line for part in text.splitlines() if (line := part.strip()))


def _result(bound: Bound, result: Any) -> str:
    if isinstance(result, ToolError):
        return one_line(f"error: {result.reason}")
    if isinstance(result, Exception):
        return one_line(f"error: {as_text(result)}")
    return one_line(bound.tool.show(result))
