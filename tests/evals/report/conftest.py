from __future__ import annotations

from pathlib import Path

import pytest

from tests.evals.report.samples import fill
from tts.evals.report import Contents, Entry, Run, contents, load


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("runs") / "run.sqlite", problems=12)


@pytest.fixture(scope="session")
def loaded(store: Path) -> tuple[list[Run], list[Entry]]:
    return load([store])


@pytest.fixture(scope="session")
def found(loaded: tuple[list[Run], list[Entry]]) -> Contents:
    return contents(*loaded)
