"""The documentation runs: Python blocks, YAML blocks, commands, and links."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tts import Pipeline
from tts.cli import main
from tts.evals.suite import Suite

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def having(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.long
@pytest.mark.parametrize("page", having("python"), ids=name)
def test_python_blocks_run_in_order(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page, "python"):
        exec(compile(block, name(page), "exec"), namespace)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("page", having("yaml"), ids=name)
def test_yaml_blocks_are_pipelines_or_suites(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in blocks(page, "yaml"):
        for variable in re.findall(r"api_key_env: (\w+)", block):
            monkeypatch.setenv(variable, "a key")
        path = tmp_path / "block.yaml"
        path.write_text(block)
        if block.startswith("tasks:") or "\ntasks:" in block:
            assert Suite.load(path).entries()
        else:
            assert Pipeline.load(path).models


@pytest.mark.long
@pytest.mark.parametrize("page", having("console"), ids=name)
def test_commands_succeed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    (tmp_path / "build").mkdir()
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ tts "):
                with pytest.raises(SystemExit) as exit_:
                    main(shlex.split(line)[2:])
                assert not exit_.value.code, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_suite_of_the_tutorial_is_the_one_that_is_shipped() -> None:
    (shown,) = blocks(ROOT / "docs/tutorial/first-steps.md", "yaml")
    lines = (ROOT / "pipelines/first-suite.yaml").read_text().splitlines(keepends=True)
    assert shown == "".join(line for line in lines if not line.startswith("#"))


def test_the_search_for_takeovers_finds_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, trace = ROOT / "docs/how-to/draft-with-a-small-model.md", tmp_path / "new" / "t.jsonl"
    (pattern,) = re.findall(r"`grep '(.+)' build/draft\.jsonl`", page.read_text())
    with pytest.raises(SystemExit):
        main(["run", str(ROOT / "pipelines/draft.yaml"), "--input", "q", "--trace", str(trace)])
    found = [json.loads(line) for line in trace.read_text().splitlines() if pattern in line]
    assert {record["event"] for record in found} == {"takeover"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=name)
def test_shipped_pipelines_and_suites_load(path: Path) -> None:
    if path.stem.endswith("suite"):
        assert Suite.load(path).entries()
    else:
        assert Pipeline.load(path).strategy
