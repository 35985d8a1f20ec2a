from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.evals.report.samples import cells, row
from tts import ConfigError
from tts.evals.report import load
from tts.evals.report.runs import stored_row
from tts.evals.store import RunStore


def test_a_folder_and_its_store_are_the_same_run(store: Path) -> None:
    (of_folder, _), (of_file, entries) = load([store.parent]), load([store])
    assert of_folder == of_file
    assert [entry.label for entry in entries[:4]] == [
        "self-consistency × 16", "single", "pdr", "self_consistency, beta",
    ]  # fmt: skip
    assert {entry.planned for entry in entries} == {12}
    assert all(len(entry.results) == 12 for entry in entries)


def test_texts_stay_in_the_store(store: Path) -> None:
    _, entries = load([store])
    result = entries[0].results[0].row
    assert not result.trace
    assert not result.text
    assert result.draws
    assert not any(draw.text for draw in result.draws)
    whole = stored_row(store, result.cell, result.example)
    assert whole is not None
    assert whole.trace
    assert all(draw.text for draw in whole.draws)
    assert stored_row(store, result.cell, "nowhere") is None


def test_entries_of_several_runs_tell_whose_they_are(store: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.sqlite"
    shutil.copy(store, again)
    _, entries = load([store, again])
    assert {entry.run for entry in entries} == {store.parent.name, "again"}
    assert entries[1].label == f"single ({store.parent.name})"
    runs, _ = load([store, store])
    assert [run.name for run in runs] == [store.parent.name, f"{store.parent.name} 2"]


def test_seeds_of_a_cell_are_one_entry(tmp_path: Path) -> None:
    planned = [cells(["g"])[1].model_copy(update={"seed": seed}) for seed in (0, 1)]
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan(planned)
        store.add(row(planned[0], 1, 1.0))
    _, (entry,) = load([tmp_path])
    assert entry.seeds == (0, 1)
    assert entry.planned is None
    assert [result.seed for result in entry.results] == [0]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run\.sqlite in this folder"):
        load([tmp_path])
    with pytest.raises(ConfigError, match="no run store here"):
        load([tmp_path / "x.sqlite"])
    RunStore(tmp_path / "run.sqlite").close()
    with pytest.raises(ConfigError, match="no cells yet"):
        load([tmp_path])
