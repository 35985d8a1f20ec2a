"""Tools of MCP servers."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from pydantic import ValidationError

from tts.errors import ConfigError, ToolError
from tts.mcp_tools import MCP
from tts.toolboxes import Toolbox, allow_tools, open_tools

SERVER = '''
from mcp.server.mcpserver import MCPServer

server = MCPServer("numbers")

@server.tool()
def plus(a: int, b: int) -> int:
    """Add."""
    return a + b

@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no luck")

server.run("stdio")
'''


def test_a_program_must_be_allowed() -> None:
    with pytest.raises(ValidationError, match="--allow-tools npx"):
        Toolbox.parse({"use": "mcp", "command": ["npx", "server"]})
    with allow_tools("npx"):
        assert Toolbox.parse({"use": "mcp", "command": ["npx", "server"]})


@pytest.mark.parametrize("settings", [{}, {"url": "http://localhost/mcp", "command": ["npx"]}])
def test_a_server_has_one_place(settings: dict[str, object]) -> None:
    with allow_tools("npx"), pytest.raises(ValidationError, match="either command or url"):
        Toolbox.parse({"use": "mcp", **settings})


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)

    async def main() -> None:
        async with open_tools([MCP(url="http://localhost:1/mcp")]):
            pass

    with pytest.raises(ConfigError, match=r"pip install 'tts-orchestrator\[mcp\]'"):
        anyio.run(main)


def test_variables_are_named_and_must_be_set() -> None:
    with allow_tools("npx"):
        toolbox = MCP(command=("npx",), environment=("TTS_NO_SUCH_VARIABLE",))
    with pytest.raises(ConfigError, match="TTS_NO_SUCH_VARIABLE is not set"):
        toolbox._server()


def program(tmp_path: Path, **settings: object) -> MCP:
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    with allow_tools(sys.executable):
        return MCP.model_validate({"command": [sys.executable, str(file)], **settings})


def test_tools_of_a_program(tmp_path: Path) -> None:
    async def main() -> object:
        async with open_tools([program(tmp_path)]) as tools:
            assert tools["plus"].signature == "plus(a: integer, b: integer): Add."
            with pytest.raises(ToolError, match="fail"):
                await tools["fail"].call({})
            return await tools["plus"].call({"a": 3, "b": 4})

    assert anyio.run(main) == 7


def test_only_some_tools_of_a_program(tmp_path: Path) -> None:
    async def names(toolbox: MCP) -> list[str]:
        async with open_tools([toolbox]) as tools:
            return list(tools)

    assert anyio.run(names, program(tmp_path, only=["plus"])) == ["plus"]
    with pytest.raises(ConfigError, match="has no tool 'minus'; it has plus, fail"):
        anyio.run(names, program(tmp_path, only=["minus"]))


def test_a_program_that_does_not_start_is_said() -> None:
    with allow_tools("no-such-program"):
        toolbox = MCP(command=("no-such-program",), timeout=10.0)

    async def main() -> None:
        async with open_tools([toolbox]):
            pass

    with pytest.raises(ConfigError, match="MCP server no-such-program"):
        anyio.run(main)
