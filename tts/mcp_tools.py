"""Tools of MCP servers, over standard input and output or HTTP; needs the extra `mcp`."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, PositiveInt, model_validator

from tts.allow_list import check_program
from tts.errors import ConfigError, ToolError
from tts.registry import mistake
from tts.tasks import first_error
from tts.toolboxes import Toolbox
from tts.tools import Tool

__all__ = ["MCP"]

_MOST_PAGES = 100
_ODD = re.compile(r"\A[.-]|[^\w.-]|[.-](?![A-Za-z_])", re.ASCII)
"""Characters of a tool's name that no plan can write there."""


class MCP(Toolbox, name="mcp"):
    """The tools of an MCP server: a program that is started, or a URL.

    The program must be on the allow-list. The server lives as long as the solve that uses it.
    """

    command: tuple[str, ...] = ()
    """The program and its arguments; it speaks over standard input and output."""
    url: str | None = None
    """Where a server listens (streamable HTTP)."""
    environment: tuple[str, ...] = ()
    """Names of environment variables that the program shall see."""
    only: tuple[str, ...] = ()
    """The server's names of the tools that are wanted; none is all."""
    renamed: dict[str, str] = Field(default_factory=dict)
    """What plans call a tool, by the server's name of it."""
    prefix: str = ""
    """What plans put before the names of the others, where two servers have tools of one name.
    Characters that no plan can write become underscores."""
    timeout: Annotated[float, Field(gt=0.0)] = 60.0
    """Seconds that an answer of the server may take."""
    longest: PositiveInt = 2000
    """Most characters of a result that a model is shown."""

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise mistake(MCP, (), "give either command or url", None)
        if self.command:
            try:
                check_program(self.command)
            except ConfigError as error:
                raise mistake(MCP, ("command",), error.message, self.command) from error
        return self

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """Start or reach the server and yield its tools.

        Raises:
            ConfigError: If the extra is missing, or there is no server in time.
            ToolError: On the way out, if the server went away while it was needed.
        """
        client = _mcp().Client(self._server(), read_timeout_seconds=self.timeout)
        state, raised = "opening", None
        try:
            with first_error():  # the client's task group wraps what the solve raises
                async with client:
                    tools = await self._tools(client)
                    state = "open"
                    try:
                        yield tools
                    except BaseException as error:
                        raised = error
                        raise
                    state = "done"
        except ConfigError:
            raise
        except Exception as error:  # of the client, the system, the server, or the solve itself
            if error is raised:
                raise
            if state == "opening":
                raise ConfigError(f"MCP server {self._name}: {_in_words(error)}") from error
            if state == "open":
                raise ToolError(self._name, f"the server went away: {_in_words(error)}") from error
            # It went away after its last answer, and nobody needs it any more.

    @property
    def _name(self) -> str:
        return self.url or " ".join(self.command)

    def _server(self) -> Any:
        if self.url:
            return self.url
        missing = [name for name in self.environment if name not in os.environ]
        if missing:
            raise ConfigError(f"the environment variable {missing[0]} is not set: export it")
        passed = {name: os.environ[name] for name in self.environment}
        return _mcp().StdioServerParameters(
            command=self.command[0], args=list(self.command[1:]), env=passed
        )

    async def _tools(self, client: Any) -> tuple[Tool, ...]:
        described: list[Any] = []
        cursor = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            described += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        found = {one.name: one for one in described}
        for name in (*self.only, *self.renamed):
            if name not in found:
                known = ", ".join(found) or "none"
                raise ConfigError(f"MCP server {self._name} has no tool {name!r}; it has {known}")
        wanted = self.only or tuple(found)
        return tuple(self._tool(client, found[name]) for name in wanted)

    def _tool(self, client: Any, described: Any) -> Tool:
        try:
            return Tool.from_definition(
                {
                    "name": self._called(described.name),
                    "description": described.description,
                    "parameters": described.input_schema,
                },
                partial(_call, client, described.name),
                timeout=self.timeout,
                longest=self.longest,
                is_shared=_may_share(described.annotations),
            )
        except ConfigError as error:
            raise ConfigError(
                f"MCP server {self._name}: {error.message}; "
                f"name the tools that you want in `only`, or others for them in `renamed`"
            ) from error

    def _called(self, name: str) -> str:
        """Return what plans call a tool of the server."""
        if name in self.renamed:
            return self.renamed[name]
        written = _ODD.sub("_", self.prefix + name)
        return f"_{written}" if written[:1].isdigit() or written == "join" else written


async def _call(client: Any, name: str, /, **arguments: Any) -> Any:
    """Call a tool of a server; values as they are where it gives them, else its texts."""
    try:
        result = await client.call_tool(name, arguments)
    except Exception as error:
        if _is_closed(error):
            raise ToolError(name, f"the MCP server went away: {_in_words(error)}") from error
        raise
    text = "\n".join(part.text for part in result.content if hasattr(part, "text"))
    if result.is_error:
        raise ToolError(name, text or "the server says that it failed")
    values = result.structured_content
    if values is None:
        return text
    return values["result"] if set(values) == {"result"} else values


def _is_closed(error: Exception) -> bool:
    return "connection closed" in str(error).lower()


def _in_words(error: Exception) -> str:
    """Return what went wrong with a server; the protocol tells an end by a code alone."""
    if _is_closed(error):
        return (
            "it ended or closed its connection before it answered: see what it wrote on standard "
            "error, or start it by hand"
        )
    return repr(error)


def _may_share(annotations: Any) -> bool:
    """Return whether equal calls may be made once: the server says that nothing more changes."""
    hints = [getattr(annotations, name, None) for name in ("read_only_hint", "idempotent_hint")]
    return any(hint is True for hint in hints)


def _mcp() -> Any:
    try:
        import mcp
    except ImportError as error:
        raise ConfigError(
            "toolbox 'mcp' needs the extra mcp: pip install 'tts-orchestrator[mcp]'"
        ) from error
    return mcp
