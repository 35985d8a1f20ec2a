"""Tools of MCP servers."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import pytest
from pydantic import ValidationError

from tts.errors import ConfigError, ToolError
from tts.mcp_tools import MCP
from tts.toolboxes import Toolbox, allow_tools, open_tools

SERVER = '''
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("numbers")

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def plus(a: int, b: int) -> int:
    """Add."""
    return a + b

@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no luck")

@server.tool()
def greet(name: str, client: str) -> str:
    """Greet."""
    return f"{name} greets {client}"

server.run(TRANSPORT)
'''

ODD = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("odd")

def tool(a: int = 1) -> int:
    return a

for name in ("a/b", "2fa", "get:x", "join", "plus", "x.1", "-y"):
    server.add_tool(tool, name=name)

server.run("stdio")
"""


def test_a_program_must_be_allowed() -> None:
    with pytest.raises(ValidationError, match="--allow-tools 'npx server'"):
        Toolbox.parse({"use": "mcp", "command": ["npx", "server"]})
    with allow_tools("npx"):
        assert Toolbox.parse({"use": "mcp", "command": ["npx", "server"]})


@pytest.mark.parametrize(
    ("allowed", "command", "is_allowed"),
    [
        ("npx", ["npx", "-y", "anything"], True),
        ("npx good-server", ["npx", "good-server"], True),
        ("npx good-server", ["npx", "good-server", "--root", "."], True),
        ("npx 'a b'", ["npx", "a b"], True),
        ("npx good-server", ["npx", "bad-server"], False),
        ("npx good-server", ["npx"], False),
        ("npx good", ["npx", "good-server"], False),
        ("npx", ["npx.evil"], False),
        ("npx", ["./npx"], False),
        ("C:\\tools\\npx.exe", ["C:\\tools\\npx.exe", "a"], True),
        ("npx '", ["npx"], False),
        ("", ["npx"], False),
    ],
)
def test_the_list_may_hold_the_beginning_of_a_command(
    allowed: str, command: list[str], is_allowed: bool
) -> None:
    with allow_tools(allowed):
        if is_allowed:
            assert Toolbox.parse({"use": "mcp", "command": command})
        else:
            with pytest.raises(ValidationError, match="may not run"):
                Toolbox.parse({"use": "mcp", "command": command})


def test_a_server_that_fails_is_named_by_its_whole_command(tmp_path: Path) -> None:
    script = tmp_path / "quits.py"
    script.write_text("raise SystemExit(2)")
    with allow_tools(sys.executable):
        toolbox = MCP(command=(sys.executable, str(script)), timeout=10.0)

    async def main() -> None:
        async with open_tools([toolbox]):
            pass

    ended = r"quits\.py: it ended or closed its connection before it answered"
    with pytest.raises(ConfigError, match=ended):
        anyio.run(main)


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
    file.write_text(SERVER.replace("TRANSPORT", '"stdio"'))
    with allow_tools(sys.executable):
        return MCP.model_validate({"command": [sys.executable, str(file)], **settings})


def test_tools_of_a_program(tmp_path: Path) -> None:
    async def main() -> object:
        async with open_tools([program(tmp_path)]) as tools:
            assert tools["plus"].signature == "plus(a: integer, b: integer): Add."
            assert (tools["plus"].is_shared, tools["fail"].is_shared) == (True, False)
            with pytest.raises(ToolError, match="fail"):
                await tools["fail"].call({})
            return await tools["plus"].call({"a": 3, "b": 4})

    assert anyio.run(main) == 7


def test_parameters_may_be_called_as_anything(tmp_path: Path) -> None:
    async def main() -> object:
        async with open_tools([program(tmp_path)]) as tools:
            return await tools["greet"].call({"name": "a", "client": "b"})

    assert anyio.run(main) == "a greets b"


def odd(tmp_path: Path, **settings: object) -> MCP:
    file = tmp_path / "odd.py"
    file.write_text(ODD)
    with allow_tools(sys.executable):
        return MCP.model_validate({"command": [sys.executable, str(file)], **settings})


def test_tools_are_called_by_names_that_a_plan_can_write(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with open_tools([odd(tmp_path, renamed={"plus": "add"})]) as tools:
            assert await tools["a_b"].call({"a": 3}) == 3
            return list(tools)

    assert anyio.run(main) == ["a_b", "_2fa", "get_x", "_join", "add", "x_1", "_y"]


@pytest.mark.long
def test_two_servers_may_have_tools_of_one_name(tmp_path: Path) -> None:
    async def both(**settings: object) -> list[str]:
        boxes = [program(tmp_path, only=["plus"]), odd(tmp_path, only=["plus"], **settings)]
        async with open_tools(boxes) as tools:
            assert await tools["plus"].call({"a": 1, "b": 2}) == 3
            return list(tools)

    assert anyio.run(lambda: both(prefix="odd.")) == ["plus", "odd.plus"]
    with pytest.raises(ConfigError, match="two tools are called 'plus': rename one"):
        anyio.run(both)


@pytest.mark.parametrize(
    ("renamed", "said"),
    [
        ({"plus": "a b"}, r"'a b' cannot be a tool's name.*`renamed`"),
        ({"minus": "m"}, "has no tool 'minus'"),
    ],
)
def test_a_name_that_cannot_be_or_is_not_there_is_refused(
    renamed: dict[str, str], said: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with open_tools([odd(tmp_path, only=["plus"], renamed=renamed)]):
            pass

    with pytest.raises(ConfigError, match=said):
        anyio.run(main)


def test_tools_of_a_server_that_listens(tmp_path: Path) -> None:
    file = tmp_path / "server.py"
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = f'"streamable-http", host="127.0.0.1", port={port}'
    file.write_text(SERVER.replace("TRANSPORT", settings))

    async def main() -> object:
        command = [sys.executable, str(file)]
        async with await anyio.open_process(command, stdout=DEVNULL, stderr=PIPE) as server:
            assert server.stderr is not None
            told = ""
            with anyio.fail_after(60):
                while "running on" not in told:
                    told += (await server.stderr.receive()).decode()
            try:
                url = f"http://127.0.0.1:{port}/mcp"
                async with open_tools([MCP(url=url, timeout=30.0)]) as tools:
                    with pytest.raises(ToolError, match="fail"):
                        await tools["fail"].call({})
                    return await tools["plus"].call({"a": 3, "b": 4})
            finally:
                server.terminate()

    assert anyio.run(main) == 7


@pytest.mark.long
def test_only_some_tools_of_a_program(tmp_path: Path) -> None:
    async def names(toolbox: MCP) -> list[str]:
        async with open_tools([toolbox]) as tools:
            return list(tools)

    assert anyio.run(names, program(tmp_path, only=["plus"])) == ["plus"]
    with pytest.raises(ConfigError, match="has no tool 'minus'; it has plus, fail, greet"):
        anyio.run(names, program(tmp_path, only=["minus"]))


def test_a_program_that_does_not_start_is_said() -> None:
    with allow_tools("no-such-program"):
        toolbox = MCP(command=("no-such-program",), timeout=10.0)

    async def main() -> None:
        async with open_tools([toolbox]):
            pass

    with pytest.raises(ConfigError, match="MCP server no-such-program"):
        anyio.run(main)
