"""Plans in a provider's own form: parallel function calls, each with its arguments as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from tts.messages import ToolCall
from tts.plans.arguments import Arguments
from tts.plans.text import Call, Item, Problem
from tts.plans.values import UnknownReference, reference, template

__all__ = ["NativeReader"]

_DEEPEST = 40


class NativeReader:
    """Turns function calls into a plan's calls, numbered in their order.

    A text in the arguments may refer to earlier calls as a written plan's may: `$1` is the result
    of call 1, whole where it stands alone.

    Args:
        first: The number of the first one.
        known: Earlier calls that may be referred to.

    Attributes:
        count: Calls that were fed.

    >>> reader = NativeReader(2, {1})
    >>> reader.feed(ToolCall(name="double", arguments='{"x": "$1"}'))[0].text
    'double(x="$1")'
    """

    def __init__(self, first: int, known: Collection[int]) -> None:
        self._first, self._known = first, set(known)
        self._lost: set[int] = set()
        self.count = 0

    def feed(self, call: ToolCall) -> list[Item]:
        """Return the call; what is none comes out as a `Problem`."""
        number = self._first + self.count
        self.count += 1
        written = f"{call.name}({call.arguments})"
        self._lost.add(number)
        try:
            values = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return [Problem(number, f"the arguments are no JSON: {error}", written)]
        if not isinstance(values, Mapping):
            return [Problem(number, "the arguments are no JSON object", written)]
        try:
            named = tuple((name, self._referring(value)) for name, value in values.items())
        except UnknownReference as error:
            return [Problem(number, f"{error.text} stands for no earlier call", written)]
        except RecursionError:
            return [Problem(number, "the arguments are nested too deeply", written)]
        self._known.add(number)
        self._lost.discard(number)
        arguments = Arguments((), named, None, False)
        return [Call(number, call.name, arguments, _text(call, values), number)]

    def _referring(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise RecursionError
        if isinstance(value, str):
            reference(value.strip(), 0, self._known)  # one that stands alone can mean nothing else
            return template(value, self._known, self._lost)
        if isinstance(value, list):
            return [self._referring(each, depth + 1) for each in value]
        if isinstance(value, dict):
            return {key: self._referring(each, depth + 1) for key, each in value.items()}
        return value


def _text(call: ToolCall, values: Mapping[str, Any]) -> str:
    """Return the call as a written plan would have it: models and people are shown that."""
    listed = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"{call.name}({', '.join(listed)})"
