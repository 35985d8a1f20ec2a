"""Where a strategy's tools come from: the family that YAML chooses by name.

In Python a tool or a typed function may stand where a toolbox does. A pipeline file alone can run
no code that its reader has not allowed: `python` and `mcp` refuse what is not on the allow-list of
`allow_tools`, which only the command line and Python can set.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, PositiveInt, PrivateAttr, field_serializer, field_validator

from tts.allow_list import allow_tools, imported
from tts.arithmetic import bounded, calculate
from tts.errors import ConfigError
from tts.registry import Component, mistake
from tts.tools import Tool

__all__ = [
    "Arithmetic",
    "Calculator",
    "GivenTool",
    "Lookup",
    "Python",
    "Toolbox",
    "allow_tools",
    "open_tools",
]


class Toolbox(Component, group="tts.tools", label="toolbox"):
    """A source of tools: one, or several that belong together."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Open the tools; leaving the context closes what they need.

        Raises:
            ConfigError: If they cannot be reached.
        """

    def roles(self) -> tuple[str, ...]:
        """Return the roles in which its tools ask models."""
        return ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the toolbox that a name, a mapping, a tool or a function stands for.

        Raises:
            ValidationError: If the name is unknown or a setting is wrong.
        """
        if isinstance(value, Tool) or (callable(value) and not isinstance(value, type)):
            try:
                made = value if isinstance(value, Tool) else Tool.of(value)
            except ConfigError as error:
                raise mistake(cls, (), error.message, value) from error
            return GivenTool(tool=made)  # type: ignore[return-value]  # a member of the family
        return super().parse(value)


class GivenTool(Toolbox, name="given"):
    """A tool that the caller built."""

    tool: Tool
    """The tool."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def roles(self) -> tuple[str, ...]:
        """Return the roles in which the tool asks models."""
        return self.tool.roles

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Yield the tool."""
        yield (self.tool,)

    @field_serializer("tool")
    def _name(self, tool: Tool) -> str:
        return tool.name  # for reading only


def _add(a: int | float, b: int | float) -> int | float:
    return bounded(a + b)


def _sub(a: int | float, b: int | float) -> int | float:
    return bounded(a - b)


def _mul(a: int | float, b: int | float) -> int | float:
    return bounded(bounded(a) * bounded(b))


class Arithmetic(Toolbox, name="arithmetic"):
    """The functions add, sub and mul of two numbers, exact on whole numbers of up to 4,096 bits."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Yield the three."""
        settings = {"is_pure": True, "is_quick": True}
        yield (  # written as the bundled model knows them
            Tool.of(_add, name="add", usage="add(a, b): Return a plus b.", **settings),
            Tool.of(_sub, name="sub", usage="sub(a, b): Return a minus b.", **settings),
            Tool.of(_mul, name="mul", usage="mul(a, b): Return a times b.", **settings),
        )


def _calculate(expression: str | int | float) -> int | float:
    return calculate(str(expression))


class Calculator(Toolbox, name="calculator"):
    """The function calculator(expression): arithmetic that is parsed, never run as code."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Yield the calculator."""
        yield (
            Tool.of(
                _calculate,
                name="calculator",
                usage="calculator(expression: str): Return the value of an arithmetic expression.",
                is_pure=True,
                is_quick=True,
            ),
        )


class Lookup(Toolbox, name="lookup"):
    """A function that finds a value by its key in a table of the pipeline's."""

    table: Annotated[dict[str, str | int | float], Field(min_length=1)]
    """Keys and values; case and surrounding blanks of a key do not matter."""
    tool: str = "lookup"
    """What plans call it."""
    description: str = "Return what the table says of a key."
    """One line for the model."""

    @field_validator("tool")
    @classmethod
    def _is_name(cls, name: str) -> str:
        Tool(name=name, function=str)  # refuses what is none
        return name

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Yield the function."""
        folded = {key.strip().casefold(): value for key, value in self.table.items()}

        def find(key: str) -> str | int | float:
            found = folded.get(key.strip().casefold())
            if found is None:
                raise KeyError(f"no entry {key!r}")
            return found

        yield (
            Tool.of(
                find, name=self.tool, description=self.description, is_pure=True, is_quick=True
            ),
        )


class Python(Toolbox, name="python"):
    """A function of an importable module, or a `Tool` there; it must be on the allow-list."""

    path: str
    """`package.module.function`."""
    longest: PositiveInt | None = None
    """Most characters of a result that a model is shown; none is the function's own, 2,000."""
    _tool: Tool | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Check the allow-list and import the function: later nobody could say no."""
        try:
            imported(self.path)  # asked each time: the list may be another one
            made = _made(self.path)
            self._tool = made if self.longest is None else replace(made, longest=self.longest)
        except ConfigError as error:
            raise mistake(Python, ("path",), error.message, self.path) from error

    def roles(self) -> tuple[str, ...]:
        """Return the roles in which the function asks models."""
        return () if self._tool is None else self._tool.roles

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Yield the function as a tool."""
        assert self._tool is not None  # since the object exists
        yield (self._tool,)


@lru_cache(maxsize=256)  # the same path is the same tool, so that equal toolboxes are equal
def _made(path: str) -> Tool:
    found = imported(path)
    if isinstance(found, Tool):
        return found
    if not callable(found):
        raise ConfigError(f"{path!r} is no function")
    return Tool.of(found)


@contextmanager
def _unhurried() -> Iterator[Callable[[], None]]:
    yield lambda: None


@asynccontextmanager
async def open_tools(
    toolboxes: Iterable[Toolbox],
    opening: Callable[[], AbstractContextManager[Callable[[], None]]] = _unhurried,
) -> AsyncIterator[dict[str, Tool]]:
    """Open toolboxes and yield their tools by name; all are closed on the way out.

    Args:
        toolboxes: What is opened, one after the other.
        opening: `run.opening` lets the budget of a run cut the opening off.

    Raises:
        BudgetExceeded: If the budget ended before all were open.
        ConfigError: If one cannot be opened, or two tools have the same name.
    """
    with opening() as is_open:
        async with AsyncExitStack() as opened:
            tools: dict[str, Tool] = {}
            for toolbox in toolboxes:
                for one in await opened.enter_async_context(toolbox.open()):
                    if one.name in tools:
                        raise ConfigError(
                            f"two tools are called {one.name!r}: rename one (`mcp` has `prefix`)"
                        )
                    tools[one.name] = one
            is_open()
            yield tools
