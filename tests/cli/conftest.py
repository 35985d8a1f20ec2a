"""The command as a function: its exit code, output and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tts.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Tts = Callable[..., Outcome]


@pytest.fixture
def tts(capsys: pytest.CaptureFixture[str]) -> Tts:
    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(exit_.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "models: {solver: {backend: reference, sampling: {max_tokens: 64}}}\n"
        "strategy: {use: self_consistency, samples: 4}\n"
    )
    return path


FACTS = "Facts:\nhats = 9\nkeys = hats - 4\nQuestion: keys?"
