from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

import tts
from tts import Pipeline
from tts.errors import ConfigError, ToolError
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.toolboxes import Toolbox, allow_tools, open_tools
from tts.tools import Tool, tool


def call(toolbox: object, name: str, **arguments: Any) -> Any:
    async def main() -> Any:
        async with open_tools([Toolbox.parse(toolbox)]) as tools:
            return await tools[name].call(arguments)

    return virtual_run(main)


@pytest.mark.parametrize(("name", "value"), [("add", 10), ("sub", 4), ("mul", 21)])
def test_arithmetic_is_exact_and_written_as_the_bundled_model_knows_it(
    name: str, value: int
) -> None:
    assert call("arithmetic", name, a=7, b="3") == value

    async def signatures() -> list[str]:
        async with open_tools([Toolbox.parse("arithmetic")]) as tools:
            return [one.signature for one in tools.values()]

    assert virtual_run(signatures) == [
        "add(a, b): Return a plus b.",
        "sub(a, b): Return a minus b.",
        "mul(a, b): Return a times b.",
    ]


def test_calculator_calculates() -> None:
    assert call("calculator", "calculator", expression="2 * (3 + 4)") == 14
    assert call("calculator", "calculator", expression=5) == 5
    with pytest.raises(ToolError, match="no arithmetic"):
        call("calculator", "calculator", expression="os.system")


def test_lookup_finds_and_says_when_it_does_not() -> None:
    table = {"use": "lookup", "tool": "capital", "table": {"France": "Paris"}}
    assert call(table, "capital", key=" france ") == "Paris"
    with pytest.raises(ToolError, match="no entry 'Spain'"):
        call(table, "capital", key="Spain")


@pytest.mark.parametrize("settings", [{"table": {}}, {"table": {"a": 1}, "tool": "a b"}])
def test_lookups_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, ConfigError)):
        Toolbox.parse({"use": "lookup", **settings})


PYTHON = {"use": "python", "path": "tts.arithmetic.calculate"}


def test_a_pipeline_says_how_much_of_a_result_a_model_is_shown() -> None:
    async def shown(**settings: Any) -> str:
        async with open_tools([Toolbox.parse({**PYTHON, **settings})]) as tools:
            return tools["calculate"].show("x" * 3000)

    with allow_tools(PYTHON["path"]):
        assert virtual_run(lambda: shown(longest=30)).startswith("x" * 30 + " ... (2970")
        assert virtual_run(shown).startswith("x" * 2000 + " ... (1000")


def test_a_pipeline_alone_can_run_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w')\ndef f(): ...\n")
    file = tmp_path / "p.yaml"
    file.write_text(
        "models: {m: reference}\n"
        "strategy:\n  use: compiler\n  tools:\n    - {use: python, path: evil_module.f}\n"
    )
    with pytest.raises(ConfigError, match=r"p.yaml:5:\d+: .*--allow-tools evil_module.f"):
        Pipeline.load(file)
    assert not marker.exists()


@pytest.mark.parametrize("allowed", ["tts.arithmetic.calculate", "tts.arithmetic", "tts"])
def test_what_is_allowed_runs(allowed: str) -> None:
    with allow_tools(allowed):
        toolbox = Toolbox.parse(PYTHON)
    assert call(toolbox, "calculate", expression="1 + 1") == 2


@pytest.mark.parametrize("allowed", ["tts.arith", "tts.arithmetic.calculate.x", "t"])
def test_an_allowed_name_covers_whole_words_only(allowed: str) -> None:
    with allow_tools(allowed), pytest.raises(ValidationError, match="allow-tools"):
        Toolbox.parse(PYTHON)


@pytest.mark.parametrize(
    "path", ["tts.nothing.f", "tts.arithmetic.nothing", "tts.arithmetic.re", "tts"]
)
def test_what_cannot_be_imported_or_called_is_refused(path: str) -> None:
    with allow_tools("tts"), pytest.raises(ValidationError):
        Toolbox.parse({"use": "python", "path": path})


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's that imports more than it offers."""
    name = "tools_of_the_user"
    (tmp_path / f"{name}.py").write_text(
        "from os import system\nfrom subprocess import Popen, getoutput\n"
        "from tts.tools import tool\n\n"
        "def height() -> int: return 1\n\n"
        "@tool\ndef width() -> int: return 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("function", ["getoutput", "system", "Popen"])
def test_an_allowed_module_does_not_lend_what_it_imports(mine: str, function: str) -> None:
    path = {"use": "python", "path": f"{mine}.{function}"}
    hint = rf"--allow-tools {mine}\.{function}"
    with allow_tools(mine), pytest.raises(ValidationError, match=hint):
        Toolbox.parse(path)
    with allow_tools(f"{mine}.{function}"):  # by its own name it may
        assert Toolbox.parse(path) if function != "Popen" else True
    with allow_tools("tts"), pytest.raises(ValidationError, match="of importlib"):
        Toolbox.parse({"use": "python", "path": "tts.allow_list.import_module"})


@pytest.mark.parametrize(("name", "value"), [("height", 1), ("width", 2)])
def test_an_allowed_module_gives_what_it_makes(mine: str, name: str, value: int) -> None:
    with allow_tools(mine):
        toolbox = Toolbox.parse({"use": "python", "path": f"{mine}.{name}"})
    assert call(toolbox, name) == value


def test_functions_and_tools_stand_where_toolboxes_do() -> None:
    @tool(is_quick=True)
    def one() -> int:
        return 1

    def two() -> int:
        return 2

    strategy = Compiler(tools=(one, two))  # type: ignore[arg-type]  # parsed by the field

    async def names() -> list[str]:
        async with open_tools(strategy.tools) as tools:
            return list(tools)

    assert virtual_run(names) == ["one", "two"]
    assert strategy.settings()["tools"] == [
        {"use": "given", "tool": "one"},
        {"use": "given", "tool": "two"},
    ]


def test_a_function_that_is_no_tool_says_why() -> None:
    def many(*items: int) -> None: ...

    with pytest.raises(ValidationError, match="cannot be given by name"):
        Compiler(tools=(many,))  # type: ignore[arg-type]  # parsed by the field


def test_two_tools_of_a_name_are_refused() -> None:
    async def main() -> None:
        async with open_tools([Toolbox.parse(Tool.of(len_of)), Toolbox.parse(len_of)]):
            pass

    with pytest.raises(ConfigError, match="two tools are called 'len_of'"):
        virtual_run(main)


def len_of(x: str) -> int:
    return len(x)


def test_numbers_do_not_grow_for_ever() -> None:
    async def main() -> int:
        async with open_tools((Toolbox.parse("arithmetic"),)) as tools:
            value, count = 9_999_999_999, 0
            with pytest.raises(ToolError, match="too large"):
                for count in range(30):  # noqa: B007  # told below
                    value = await tools["mul"].call({"a": value, "b": value})
            return count

    assert anyio.run(main) < 10


class Slow(Toolbox, name="slow"):
    """A tool that is there only after a minute, and as long to close."""

    seconds: float = 60.0
    closed: list[float] = []  # noqa: RUF012  # a field

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        try:
            await anyio.sleep(self.seconds)
            yield (Tool.of(len_of),)
        finally:
            self.closed.append(anyio.current_time())


PLANNED = {"plan": ["join()"], "join": ["Finish: 4"], "act": ["Finish: 4"]}


@pytest.mark.parametrize("name", ["compiler", "react"])
def test_a_budget_ends_while_tools_are_opened(name: str) -> None:
    slow = Slow()
    strategy = tts.Strategy.named(name).model_validate({"tools": (slow,)})

    async def main() -> float:
        start = anyio.current_time()
        backend = SpeakingBackend(PLANNED)
        solution = await tts.solve("q", strategy, model=backend, budget={"seconds": 2.0})
        assert (solution.status, solution.answer) == ("budget_exhausted", None)
        assert (solution.usage.calls, solution.exhausted and solution.exhausted.kind) == (
            0,
            "seconds",
        )
        return anyio.current_time() - start

    assert virtual_run(main) == pytest.approx(2.0)
    assert len(slow.closed) == 1


def test_tools_that_opened_in_time_outlive_the_budget() -> None:
    """What was found is joined by the strategy; the block of the tools is not cut off."""
    slow = Slow(seconds=1.0)

    async def main() -> tts.Solution:
        backend = SpeakingBackend(PLANNED, pause=5.0)
        strategy = Compiler(tools=(slow,))
        return await tts.solve("q", strategy, model=backend, budget={"seconds": 2.0})

    solution = virtual_run(main)
    assert (solution.status, solution.graph is not None) == ("budget_exhausted", True)
