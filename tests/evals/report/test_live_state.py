"""What a live page notices of a store that is being written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evals.report.samples import cells, row
from tts.evals.records import Row
from tts.evals.report.live import Live
from tts.evals.store import RunStore

Made = Callable[[str], Row]


def open_row(error: str) -> Row:
    """A run that failed: another try replaces it, and it counts as one all the same."""
    cell = cells(["g"])[2]
    failed = row(cell, 5, 0.5)
    assert failed.status == "failed"
    return failed.model_copy(update={"error": error})


def unjudged_row(why: str) -> Row:
    unjudged = row(cells(["g"])[2], 6, 0.5)
    assert unjudged.check_failure is not None
    return unjudged.model_copy(update={"check_failure": why})


@pytest.mark.parametrize("made", [open_row, unjudged_row])
def test_an_open_row_that_replaces_another_is_noticed(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "run.sqlite"
    with RunStore(path) as store:
        store.plan(cells(["g"]))
        store.add(made("BackendUnavailable: first"))
        live = Live([tmp_path])
        main, counts = path.stat().st_mtime_ns, (store.count(), store.count_open())
        before = live._state()
        store.add(made("BackendUnavailable: second"))
        assert (store.count(), store.count_open()) == counts
        assert path.stat().st_mtime_ns == main  # it is in the log beside the store
        assert live._state() != before


@pytest.mark.parametrize("made", [open_row, unjudged_row])
def test_it_is_noticed_where_clocks_are_coarse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    """A log that is begun anew keeps its size, and a file system may count time in seconds."""
    plain = os.stat_result((0, 1, 0, 0, 0, 0, 4096, 0, 0, 0))
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan(cells(["g"]))
        store.add(made("BackendUnavailable: first"))
        live = Live([tmp_path])
        monkeypatch.setattr(Path, "stat", lambda *_, **__: plain)
        before = live._state()
        assert live._state() == before
        store.add(made("BackendUnavailable: second"))
        assert live._state() != before


def test_a_store_that_nobody_writes_stays_as_it_is(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan(cells(["g"]))
        store.add(open_row("BackendUnavailable: gone"))
        live = Live([tmp_path])
        assert len({live._state() for _ in range(3)}) == 1
    live._read()  # the writer has gone, and its log with it
    assert len({live._state() for _ in range(3)}) == 1
