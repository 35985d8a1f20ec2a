"""Tools: functions that a model may call, with arguments that are checked before they run."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, overload

from anyio import get_cancelled_exc_class

from tts.docstrings import summary
from tts.errors import ConfigError, ToolError, TTSError
from tts.executed import as_text
from tts.tasks import check_cancelled
from tts.threads import in_thread
from tts.tool_parameters import (
    Parameter,
    from_schema,
    from_signature,
    run_parameter,
    to_schema,
)

__all__ = ["Tool", "tool"]

_LONGEST_REASON = 500
_NAME = re.compile(r"[A-Za-z_]\w*(?:[.-][A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that a model may call. Made by `tool`, `Tool.of` or `Tool.from_definition`.

    Attributes:
        name: What a plan calls it: letters, digits and underscores, dots and hyphens between them.
        function: Takes the arguments by name. A plain function runs in a thread of its own.
        parameters: Its arguments in order.
        description: One line for the model.
        usage: How it stands in a prompt; empty for `name(parameters): description`.
        is_pure: Same arguments, same result: a call that was made is not made again.
        is_shared: Equal calls under way at once are made once.
        is_quick: A plain function that returns at once, and needs no thread.
        timeout: Seconds that a call may take. A plain function that is late is left behind in its
            thread: it is not tried again, and counts no more for `concurrency`.
        attempts: Most times that a failing call is made.
        concurrency: Most calls under way at once, of all problems that a solver solves, or a bench
            in one process: each Ray worker of one counts its own. None is no limit of its own.
        longest: Most characters of a result that a model is shown.
        roles: The roles in which it asks models: a pipeline may assign them, and as many calls of
            the tool run at once as the model of each lets through.
        run_as: The parameter that gets the run, to ask models with; of a function that has one of
            type `Run` it is found.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    usage: str = ""
    is_pure: bool = False
    is_shared: bool = True
    is_quick: bool = False
    timeout: float = 60.0
    attempts: int = 1
    concurrency: int | None = None
    longest: int = 2000
    roles: tuple[str, ...] = ()
    run_as: str = ""
    _by_name: dict[str, Parameter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == "join":
            raise ConfigError(
                f"{self.name!r} cannot be a tool's name: letters, digits and underscores, not join"
            )
        if self.timeout <= 0 or self.attempts < 1 or self.longest < 1:
            raise ConfigError(f"{self.name}: timeout, attempts and longest must be positive")
        if not self.run_as:
            object.__setattr__(self, "run_as", run_parameter(self.function))
        if self.run_as and not self.is_async:
            raise ConfigError(f"{self.name} takes a run, so it must be an async def: asking waits")
        if self.run_as and not self.roles:
            object.__setattr__(self, "roles", ("solve",))
        object.__setattr__(self, "_by_name", {one.name: one for one in self.parameters})

    @classmethod
    def of(cls, function: Callable[..., Any], **settings: Any) -> Tool:
        """Make a tool from a typed function; its docstring's first paragraph is the description.

        What the docstring says of the parameters goes into the definition.

        Args:
            function: A function or coroutine function with a named parameter for each argument.
            settings: Attributes of the tool that are not to be taken from the function.

        Raises:
            ConfigError: If it takes `*args`, `**kwargs` or parameters by position only, or a
                setting is wrong.
        """
        name = settings.pop("name", getattr(function, "__name__", type(function).__name__))
        settings.setdefault("description", summary(inspect.getdoc(function) or ""))
        return cls(
            name=name, function=function, parameters=from_signature(name, function), **settings
        )

    @classmethod
    def from_definition(
        cls, definition: Mapping[str, Any], function: Callable[..., Any], **settings: Any
    ) -> Tool:
        """Make a tool from a function definition as OpenAI and MCP write it.

        Args:
            definition: `{"name", "description", "parameters"}`, also inside `{"function": ...}`,
                also with `inputSchema`.
            function: Takes the arguments by name.
            settings: Further attributes of the tool.

        Raises:
            ConfigError: If the definition has no name, or its parameters are no object schema.
        """
        inner = definition.get("function", definition)
        name = inner.get("name")
        if not isinstance(name, str):
            raise ConfigError("a function definition needs a name")
        schema = inner.get("parameters") or inner.get("inputSchema")
        text = " ".join(str(inner.get("description") or "").split())
        return cls(
            name=name,
            function=function,
            parameters=from_schema(name, schema),
            description=text,
            **settings,
        )

    @property
    def signature(self) -> str:
        """How it stands in a prompt."""
        if self.usage:
            return self.usage
        listed = ", ".join(str(parameter) for parameter in self.parameters)
        return f"{self.name}({listed})" + (f": {self.description}" if self.description else "")

    @property
    def definition(self) -> dict[str, Any]:
        """The function definition, with a JSON Schema of the arguments."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": to_schema(self.parameters),
        }

    @property
    def lanes(self) -> tuple[str, ...]:
        """The limits of a graph under which it runs."""
        return () if self.concurrency is None else (f"tool:{self.name}",)

    @property
    def is_async(self) -> bool:
        """True if a call that is cancelled really ends."""
        return inspect.iscoroutinefunction(self.function)

    def check_names(self, arguments: Iterable[str]) -> None:
        """Make sure that these are arguments, and enough of them.

        Raises:
            ToolError: If one is unknown or missing; a model can repair it.
        """
        given = set(arguments)
        unknown = sorted(given - set(self._by_name))
        if unknown:
            known = ", ".join(self._by_name) or "none"
            raise self._refusal(f"it has no parameter {unknown[0]!r}; it has {known}")
        required = [one.name for one in self.parameters if one.is_required]
        missing = [name for name in required if name not in given]
        if missing:
            raise self._refusal(f"it needs {', '.join(missing)}")

    def check_values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments that it knows as the function takes them; some may still be to come.

        Raises:
            ToolError: If one is of another type; a model can repair it.
        """
        checked = {}
        for name, value in arguments.items():
            try:
                checked[name] = self._by_name[name].check(value)
            except ValueError as error:
                raise self._refusal(f"{name}: {error}") from error
        return checked

    async def call(self, arguments: Mapping[str, Any], run: object = None) -> Any:
        """Check the arguments and call the function. The time limit is the caller's to keep.

        Args:
            arguments: By name.
            run: What a tool that asks models asks.

        Raises:
            ToolError: If the arguments do not fit, or the function raised something.
        """
        self.check_names(arguments)
        checked = self.check_values(arguments)
        if self.run_as:
            checked[self.run_as] = run
        try:
            if self.is_quick or self.is_async:
                result = self.function(**checked)
            else:
                result = await in_thread(partial(self.function, **checked), self.name)
            return await result if inspect.isawaitable(result) else result
        except TTSError:
            raise
        except get_cancelled_exc_class() as error:
            await check_cancelled(error)
            raise ToolError(self.name, "it was cancelled from within") from error
        except (Exception, SystemExit) as error:  # a user's code: this is the call's result
            reason = " ".join(f"{type(error).__name__}: {as_text(error)}".split())
            raise ToolError(self.name, reason[:_LONGEST_REASON]) from error

    def show(self, value: Any) -> str:
        """Return a result as a model is shown it: text as it is, values as JSON, cut if long."""
        text = value if isinstance(value, str) else _as_text(value)
        if len(text) <= self.longest:
            return text
        return f"{text[: self.longest]} ... ({len(text) - self.longest} characters more)"

    def _refusal(self, reason: str) -> ToolError:
        return ToolError(self.name, reason, retryable=False)


def _as_text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return as_text(value)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(**settings: Any) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, **settings: Any
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool from a typed function, as a decorator, bare or with attributes of `Tool`.

    >>> @tool(is_pure=True, is_quick=True)
    ... def double(x: int) -> int:
    ...     "Return twice x."
    ...     return 2 * x
    >>> double.signature
    'double(x: int): Return twice x.'
    """
    if function is not None:
        return Tool.of(function)
    return partial(Tool.of, **settings)
