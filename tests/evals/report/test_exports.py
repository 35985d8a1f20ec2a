from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tts import ConfigError
from tts.evals.report import Contents, Entry, Run, export, plot
from tts.evals.report.exports import COLUMNS, table
from tts.evals.tries import Earlier, Spent

Loaded = tuple[list[Run], list[Entry]]


def test_csv_comes_back(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert export(*loaded, path) == 96
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for read, line in zip(lines, table(*loaded), strict=True):
        assert list(read) == list(COLUMNS)
        for name, kind in COLUMNS.items():
            if line[name] is None:
                assert read[name] == ""
            elif kind is bool:
                assert read[name] == str(line[name]).lower()
            else:
                assert kind(read[name]) == line[name]


def test_json_comes_back(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    export(*loaded, path)
    assert json.loads(path.read_text(encoding="utf-8")) == table(*loaded)


def test_a_line_has_the_costs_of_earlier_tries_and_tells_them_apart(loaded: Loaded) -> None:
    runs, entries = loaded
    first = entries[0].results[0]
    lost = Spent(calls=2, prompt_tokens=30, completion_tokens=4, cost_usd=0.5)
    earlier = Earlier(tries=3, paid=lost, lost=lost)
    again = replace(first, row=first.row.model_copy(update={"earlier": earlier}))
    lines = [table(runs, [replace(entries[0], results=(each,))])[0] for each in (first, again)]
    changed = {name for name in COLUMNS if lines[0][name] != lines[1][name]}
    more = {name: lines[1][name] - lines[0][name] for name in changed}
    assert more.pop("cost_usd") == pytest.approx(0.5)
    assert more == {
        "calls": 2, "prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34,
        "earlier_tries": 3, "lost_tokens": 34, "lost_usd": 0.5,
    }  # fmt: skip


def test_no_answer_becomes_a_formula_of_a_spreadsheet(loaded: Loaded, tmp_path: Path) -> None:
    runs, entries = loaded
    first = entries[0].results[0]
    said = ["=HYPERLINK(1)", "-7", "@x", "+1.5e3", " =A1", "\n=A1", "\uff1dA1", "a=b"]
    results = [replace(first, row=first.row.model_copy(update={"answer": each})) for each in said]
    path = tmp_path / "results.csv"
    export(runs, [replace(entries[0], results=tuple(results))], path)
    with path.open(newline="", encoding="utf-8") as file:
        read = [line["answer"] for line in csv.DictReader(file)]
    assert read == [
        "'=HYPERLINK(1)", "-7", "'@x", "+1.5e3", "' =A1", "'\n=A1", "'\uff1dA1", "a=b",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["results.xlsx", "results"])
def test_other_endings_are_refused(loaded: Loaded, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"writes \.csv, \.parquet or \.json"):
        export(*loaded, tmp_path / name)


def test_what_cannot_be_written_is_told(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        export(*loaded, Path(__file__) / "results.csv")


def test_missing_extras_are_named(
    loaded: Loaded, found: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="extra `parquet`"):
        export(*loaded, tmp_path / "results.parquet")
    with pytest.raises(ConfigError, match="extra `plot`"):
        plot(found.summary, tmp_path / "plot.svg")
    with pytest.raises(ConfigError, match=r"draws \.png, \.svg or \.pdf"):
        plot(found.summary, tmp_path / "plot.gif")
