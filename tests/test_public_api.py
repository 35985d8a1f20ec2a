"""The public face, as an object."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import tts

NEEDS_EXTRA = (
    "tts.backends.reference.training.",
    "tts.backends.transformers.backend",
    "tts.backends.transformers.engine",
    "tts.evals.bench.screenshots",
)
MODULES = [
    name
    for name in ["tts", *(m.name for m in pkgutil.walk_packages(tts.__path__, "tts."))]
    if not name.startswith(NEEDS_EXTRA) and not name.endswith("__main__")
]
every_module = pytest.mark.parametrize("name", MODULES)


def exported(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", []))


def test_all_equals_the_namespace_and_is_sorted() -> None:
    public = {
        name
        for name, value in vars(tts).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(tts.__all__)
    assert tts.__all__ == sorted(tts.__all__)


@every_module
def test_every_name_in_all_exists_and_is_listed_once(name: str) -> None:
    module = importlib.import_module(name)
    names = exported(module)
    assert all(hasattr(module, each) for each in names)
    assert len(names) == len(set(names))  # ruff keeps them sorted


@every_module
def test_everything_public_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    for each in exported(module):
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), each


def test_importing_tts_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tts; heavy = {'numpy', 'tokenizers', 'safetensors', 'typer', 'rich',"
        " 'math_verify', 'sympy', 'jax', 'torch', 'httpx', 'aiohttp'};"
        " raise SystemExit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


OUR_ERRORS = tuple(tts.errors.__all__)


def raising(module: ModuleType) -> list[tuple[str, str]]:
    """Public functions and methods that raise one of our errors, with their docstrings."""
    found = []
    for node in ast.parse(inspect.getsource(module)).body:
        outer = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in outer:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith(
                "_"
            ):
                raised = {
                    name.id
                    for statement in ast.walk(one)
                    if isinstance(statement, ast.Raise) and statement.exc is not None
                    for name in ast.walk(statement.exc)
                    if isinstance(name, ast.Name)
                }
                if raised & set(OUR_ERRORS):
                    found.append((one.name, ast.get_docstring(one) or ""))
    return found


# Docstrings of commands are their help, where errors have no place.
@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("tts.cli")])
def test_public_functions_that_raise_our_errors_say_so(name: str) -> None:
    silent = [
        function
        for function, text in raising(importlib.import_module(name))
        if "Raises:" not in text
    ]
    assert silent == []
