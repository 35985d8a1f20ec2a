"""What `import tts` may not cost: counted in work that is not done, never in seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest


def printed(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.long
@pytest.mark.parametrize("module", ["asyncio", "numpy", "rich", "safetensors", "typer"])
def test_importing_the_library_leaves_out(module: str) -> None:
    assert printed(f"import sys, tts; print({module!r} in sys.modules)") == "False"


def test_importing_the_library_builds_no_validator() -> None:
    code = """
import tts
from tts.frozen import Frozen
pending, built = [Frozen], []
while pending:
    model = pending.pop()
    pending += model.__subclasses__()
    built += [model.__name__] if model.__pydantic_complete__ and model is not Frozen else []
print(built)
"""
    assert printed(code) == "[]"
