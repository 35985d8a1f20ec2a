"""What needs the extras `plot` and `parquet`: `make plot-test`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import parquet

from tts import ConfigError
from tts.evals.report import Contents, Entry, Run, export, plot
from tts.evals.report.exports import COLUMNS, table

BEGINS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


@pytest.mark.parametrize("ending", BEGINS)
def test_plots_are_what_their_ending_says(found: Contents, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"plot{ending}"
    plot(found.summary, path)
    assert path.read_bytes().startswith(BEGINS[ending])


@pytest.mark.parametrize("ending", BEGINS)
def test_the_same_run_gives_the_same_file(found: Contents, tmp_path: Path, ending: str) -> None:
    paths = [tmp_path / f"{name}{ending}" for name in "ab"]
    for path in paths:
        plot(found.summary, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_budgets_are_drawn_with_a_ring_and_told_in_the_legend(
    found: Contents, tmp_path: Path
) -> None:
    entries = found.summary["entries"]
    under = [{**each, "budget": "4k"} if at == 1 else each for at, each in enumerate(entries)]
    told = []
    for name, drawn in (("without", entries), ("with", under)):
        plot({**found.summary, "entries": drawn}, tmp_path / f"{name}.svg")
        told.append((tmp_path / f"{name}.svg").read_text())
    assert [text.count("under 4k") for text in told] == [0, 1]
    assert told[0].count("PathCollection") < told[1].count("PathCollection")


def test_a_plot_that_cannot_be_written_is_told(found: Contents, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        plot(found.summary, Path(__file__) / "plot.svg")


def test_parquet_comes_back(loaded: tuple[list[Run], list[Entry]], tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    export(*loaded, path)
    read = parquet.read_table(path)
    assert read.column_names == list(COLUMNS)
    assert read.to_pylist() == table(*loaded)
