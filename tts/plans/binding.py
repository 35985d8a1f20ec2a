"""A call of a plan, fitted to a tool: what can be checked early is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from tts.errors import PlanError, ToolError
from tts.plans.text import Call
from tts.plans.values import fill, refs
from tts.tools import Tool

__all__ = ["Bound", "bind"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A call whose tool is known.

    Attributes:
        call: As the plan has it.
        tool: What it calls.
        arguments: Values by parameter, with references.
        after: The steps that it refers to, in order.
    """

    call: Call
    tool: Tool
    arguments: Mapping[str, Any]
    after: tuple[int, ...]

    def filled(self, results: Mapping[int, Any]) -> dict[str, Any]:
        """Return the arguments with results in the place of references.

        Within a text a result stands as this tool's results are shown, cut if it is long.

        Raises:
            ToolError: If a result has no such part.
        """
        try:
            return {
                name: fill(value, results, self.tool.show) for name, value in self.arguments.items()
            }
        except LookupError as error:
            raise ToolError(self.tool.name, str(error.args[0]), retryable=False) from error

    def key(self, arguments: Mapping[str, Any]) -> Hashable | None:
        """Return what makes two calls the same; None if the tool's calls are not to be shared."""
        if not (self.tool.is_shared or self.tool.is_pure):
            return None
        try:
            return (self.tool.name, _canonical(dict(arguments)))
        except (TypeError, RecursionError):
            return None


def _canonical(value: Any) -> Hashable:
    """Return what is equal for equal values of the same types only.

    Raises:
        TypeError: If the value is of a type of which that is not known.
    """
    kind = type(value)
    if kind in {list, tuple}:
        return (kind, *map(_canonical, value))
    if kind is dict:
        return (dict, frozenset((_canonical(key), _canonical(part)) for key, part in value.items()))
    if kind in {str, int, float, bool, type(None)}:
        return (kind, value)
    raise TypeError(kind.__name__)


def bind(call: Call, tools: Mapping[str, Tool]) -> Bound:
    """Fit a call to the tool that it names.

    Raises:
        PlanError: If there is no such tool, or the arguments cannot fit.
    """
    tool = tools.get(call.tool)
    if tool is None:
        known = ", ".join(tools) or "none"
        raise PlanError(call.line, f"there is no function {call.tool!r}; there are {known}")
    arguments = _named(call, tool)
    known_now = {name: value for name, value in arguments.items() if not any(refs(value))}
    try:
        tool.check_names(arguments)
        tool.check_values(known_now)
    except ToolError as error:
        raise PlanError(call.line, f"{call.id}. {call.text}: {error.reason}") from error
    after = tuple(dict.fromkeys(ref.id for ref in refs(list(arguments.values()))))
    return Bound(call, tool, arguments, after)


def _named(call: Call, tool: Tool) -> dict[str, Any]:
    """Return a call's arguments by parameter."""
    given = call.arguments
    names = [parameter.name for parameter in tool.parameters]
    if given.is_plain and len(names) == 1 and len(given.positional) >= 1:
        return {names[0]: given.whole}
    if len(given.positional) > len(names):
        raise PlanError(
            call.line,
            f"{call.id}. {call.text}: it takes {len(names)} arguments, not {len(given.positional)}",
        )
    arguments = dict(zip(names, given.positional, strict=False))
    for name, value in given.keywords:
        if name in arguments:
            raise PlanError(call.line, f"{call.id}. {call.text}: {name} is given twice")
        arguments[name] = value
    return arguments
