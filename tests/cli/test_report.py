from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Tts
from tests.evals.report.samples import fill


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    fill(folder / "run.sqlite", problems=4, tasks=["graphs"])
    return folder


def test_a_page_and_a_table_are_written(tts: Tts, run: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "report.html", tmp_path / "results.json"
    code, out, _ = tts("report", run, "--out", page, "--export", table)
    assert code == 0
    assert out.splitlines() == [
        f"16 results written to {table}",
        f"report written to {page}",
    ]
    assert page.read_text().startswith("<!doctype html>")
    assert len(json.loads(table.read_text())) == 16


def test_a_page_is_what_one_gets_without_asking(
    tts: Tts, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = tts("report", run, "--title", "Hats")
    assert (code, out) == (0, "report written to report.html\n")
    assert "<title>Hats ·" in (tmp_path / "report.html").read_text()


def test_what_was_left_out_is_told(tts: Tts, run: Path, tmp_path: Path) -> None:
    code, out, _ = tts("report", run, "--out", tmp_path / "r.html", "--text-limit", "0")
    assert code == 0
    assert "texts of 16 results left out (--text-limit)" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "r.html", "--text-limit", "-1"], "--text-limit is a number of megabytes"),
        (["--out", "a-file/r.html"], "a-file/r.html: cannot write"),
        (["--out", "r.csv"], "must end in .html; tables are written by --export"),
        (["--out", "r.HTM"], "charts by --plot"),
        (["--plot", "x.gif"], "--plot draws"),
        (["--export", "x.xls"], "--export writes"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tts: Tts, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    code, _, err = tts("report", run, *words)
    assert code == 2
    assert message in err
    assert not list(tmp_path.glob("[rx].*"))


def test_folders_of_what_is_written_are_made(tts: Tts, run: Path, tmp_path: Path) -> None:
    page, rows = tmp_path / "new" / "r.html", tmp_path / "other" / "deep" / "r.csv"
    code, _, err = tts("report", run, "--out", page, "--export", rows)
    assert (code, err) == (0, "")
    assert page.exists()
    assert rows.exists()


def test_a_run_that_is_none_is_told(tts: Tts, tmp_path: Path) -> None:
    for words in (["report", tmp_path, "--out", "r.html"], ["view", tmp_path]):
        code, _, err = tts(*words)
        assert code == 2
        assert "no run.sqlite in this folder" in err


def test_a_store_that_cannot_be_read_is_told_in_one_line(tts: Tts, tmp_path: Path) -> None:
    with closing(sqlite3.connect(fill(tmp_path / "run.sqlite", problems=1))) as store:
        store.execute("DROP TABLE rows")
    for words in (["report", tmp_path, "--out", tmp_path / "r.html"], ["view", tmp_path]):
        code, _, err = tts(*words)
        assert code == 1
        assert err.count("\n") == 1
        assert "the run store cannot be read: no such table" in err
        assert "internal" not in err


def test_a_taken_port_is_told(tts: Tts, run: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = tts("view", run, "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "cannot serve on 127.0.0.1" in err
