"""Functions as providers have them: offered under names they take, called in parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from tts.messages import ToolCall

__all__ = ["CallParts", "Functions"]

_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST: Final = 64


class Functions:
    """The functions that a request offers.

    Providers take letters, digits, underscores and hyphens, 64 of them: other names are spelled
    so, and told apart by a number.

    Args:
        tools: The definitions as JSON, as `Request.tools` has them.

    Attributes:
        offered: The definitions under the names that providers take.

    >>> functions = Functions(['{"name": "math.add"}'])
    >>> functions.offered[0]["name"], functions.named("math_add")
    ('math_add', 'math.add')
    """

    def __init__(self, tools: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        self.offered: list[dict[str, Any]] = []
        for tool in tools:
            definition = json.loads(tool)
            spelled = self._spell(str(definition.get("name", "")))
            self.offered.append({**definition, "name": spelled})

    def named(self, spelled: str) -> str:
        """Return the name of a function that a provider knows under this one."""
        return self._names.get(spelled, spelled)

    def _spell(self, name: str) -> str:
        plain = spelled = _ODD.sub("_", name)[:_LONGEST]
        while spelled in self._names:
            ending = f"_{len(self._names)}"
            spelled = plain[: _LONGEST - len(ending)] + ending
        self._names[spelled] = name
        return spelled


class CallParts:
    """Calls that come in parts, each part with the place of its call.

    Args:
        functions: What was offered.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._parts: dict[int, tuple[list[str], list[str]]] = {}
        self._ended: set[int] = set()
        self._told = 0

    def add(self, place: int, name: str = "", arguments: str = "") -> None:
        """Take in a part."""
        names, written = self._parts.setdefault(place, ([], []))
        names.append(name)
        written.append(arguments)
        if arguments.rstrip().endswith("}") and _is_object("".join(written)):
            self._ended.add(place)

    def end(self, place: int) -> None:
        """Note that a call is complete; one whose arguments are a JSON object is anyway."""
        self._ended.add(place)

    def whole(self) -> list[ToolCall]:
        """Return the calls that have become complete since the last time, none out of turn."""
        places = sorted(self._parts)
        first = self._told
        while self._told < len(places) and places[self._told] in self._ended:
            self._told += 1
        return [self._call(place) for place in places[first : self._told]]

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """All calls in their order, complete or not."""
        return tuple(self._call(place) for place in sorted(self._parts))

    def _call(self, place: int) -> ToolCall:
        names, written = self._parts[place]
        return ToolCall(name=self._functions.named("".join(names)), arguments="".join(written))


def _is_object(text: str) -> bool:
    """Return whether the text is a JSON object. No part of one is one."""
    if text.count("{") != text.count("}"):  # to count is cheap; a brace in a text only delays
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
