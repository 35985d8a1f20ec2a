"""The house's own invariants."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINKED = ["strategies", "evals"]
SOURCES = sorted(
    path for top in ("tts", *LINKED) for path in (ROOT / top).rglob("*.py") if not path.is_symlink()
)
GROUPS = sorted(PROJECT["project"]["entry-points"])


@pytest.mark.parametrize("name", LINKED)
def test_link_points_at_the_folder(name: str) -> None:
    assert (ROOT / "tts" / name).resolve() == ROOT / name


def test_every_package_is_listed() -> None:
    folders = {path.parent.relative_to(ROOT) for path in SOURCES if path.name == "__init__.py"}
    names = {".".join(folder.parts) for folder in folders}
    wanted = {name if name.startswith("tts") else f"tts.{name}" for name in names}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == wanted


@pytest.mark.parametrize("name", LINKED)
def test_generic_name_is_not_importable(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({name!r}) is not None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("group", GROUPS)
def test_entry_points_load_and_carry_their_own_name(group: str) -> None:
    ours = PROJECT["project"]["entry-points"][group]
    installed = {point.name: point for point in entry_points(group=group)}
    assert set(ours) <= set(installed)
    assert all(installed[name].load().name == name for name in ours)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert long == []
    assert text.count("\n") <= 320


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "manager", "misc", "common", "base2"}
    assert not empty & {path.stem for path in SOURCES}
