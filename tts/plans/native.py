"""Plans in a provider's own form: parallel function calls, each with its arguments as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tts.messages import ToolCall
from tts.plans.arguments import Arguments
from tts.plans.text import Call, Item, Problem
from tts.plans.values import UnknownReference, template

__all__ = ["from_tool_calls"]


def from_tool_calls(calls: Iterable[ToolCall], first: int, known: Collection[int]) -> list[Item]:
    """Return a plan's calls, numbered in their order; what is none comes out as a `Problem`.

    A text in the arguments may refer to earlier calls as a written plan's may: `$1` is the result
    of call 1, whole where it stands alone.

    Args:
        calls: As the model made them.
        first: The number of the first one.
        known: Earlier calls that may be referred to.

    >>> from_tool_calls([ToolCall(name="double", arguments='{"x": "$1"}')], 2, {1})[0].text
    'double(x="$1")'
    """
    numbers, found = set(known), list[Item]()
    for number, call in enumerate(calls, first):
        written = f"{call.name}({call.arguments})"
        try:
            values = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            found.append(Problem(number, f"the arguments are no JSON: {error}", written))
            continue
        if not isinstance(values, Mapping):
            found.append(Problem(number, "the arguments are no JSON object", written))
            continue
        try:
            named = tuple((name, _referring(value, numbers)) for name, value in values.items())
        except UnknownReference as error:
            reason = f"{error.text} stands for no earlier call"
            found.append(Problem(number, reason, written))
            continue
        found.append(
            Call(number, call.name, Arguments((), named, None, False), _text(call, values), number)
        )
        numbers.add(number)
    return found


def _referring(value: Any, known: Collection[int]) -> Any:
    if isinstance(value, str):
        return template(value, known)
    if isinstance(value, list):
        return [_referring(each, known) for each in value]
    if isinstance(value, dict):
        return {key: _referring(each, known) for key, each in value.items()}
    return value


def _text(call: ToolCall, values: Mapping[str, Any]) -> str:
    """Return the call as a written plan would have it: models and people are shown that."""
    listed = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"{call.name}({', '.join(listed)})"
