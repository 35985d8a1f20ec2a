from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Tts
from tests.evals.report.samples import fill
from tts.evals.records import Cell, Draw, Row
from tts.evals.report import contents, load
from tts.evals.report.textless import LEFT_OUT
from tts.evals.store import RunStore
from tts.problem import StoppedBy


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


SECRET = {
    place: f"SECRET-{place}-7391"
    for place in (
        "question", "right", "extra", "answer", "wrong", "error", "text", "candidate", "trace",
        "check", "prompt", "instruction", "table", "nudge", "guarantee", "pattern", "end",
    )
}  # fmt: skip
"""What nobody outside may read, by the place where it stands."""


def fill_with_secrets(folder: Path) -> Path:
    """Write a run that says something of its own in every place that holds a text."""
    cell = Cell(
        task="graphs", model="small", strategy="mine", is_baseline=True,
        settings={
            "task": {
                "use": "jsonl", "instruction": SECRET["instruction"],
                "check": {"use": "regex", "pattern": SECRET["pattern"]},
            },
            "models": {
                "m": {"backend": "reference", "model": "vendor/model-7b"},
                "n": {"sampling": {"stop": [SECRET["end"]]}},
            },
            "strategy": {
                "use": "self_consistency", "nudges": [f"Wait, {SECRET['nudge']}"],
                "tools": [{"table": {SECRET["table"]: "1"}}], "stop": "never",
            },
            "prompts": {"solve": SECRET["prompt"]},
        },
    )  # fmt: skip
    record = {
        "event": "call", "span": "run", "ticket": 0, "role": "solve", "start": 0.0, "end": 1.0,
        "outcome": "stop", "text": SECRET["trace"], "prompt_digest": "d",
        "prompt": [{"role": "user", "content": SECRET["trace"]}],
    }  # fmt: skip
    given: dict[str, Any] = {
        "cell": cell.key, "problem": SECRET["question"], "right_answer": SECRET["right"],
        "extra": {"source": SECRET["extra"]}, "trace": (record,), "text": SECRET["text"],
    }  # fmt: skip
    draws = tuple(
        Draw(answer=answer, key=answer, right=right, text=SECRET["candidate"], prompt_tokens=3)
        for answer, right in ((SECRET["answer"], True), (SECRET["wrong"], False))
    )
    stopped = StoppedBy(rule="beta", reason="sure", guarantee=SECRET["guarantee"])
    rows = [
        Row(**given, example="p1", status="ok", answer=SECRET["answer"], right=True, draws=draws,
            stopped_by=stopped),
        Row(**given, example="p2", status="ok", answer=SECRET["wrong"], right=False, draws=draws),
        Row(**given, example="p3", status="failed", error=f"refused: {SECRET['error']}"),
        Row(**given, example="p4", status="ok", answer="4", check_failure=SECRET["check"]),
        Row(**given, example="p5", status="no_answer", right=False),
    ]  # fmt: skip
    with RunStore(folder / "run.sqlite") as store:
        store.plan([cell])
        for row in rows:
            store.add(row)
    return folder


def test_no_text_of_problems_or_models_is_in_a_page_without_texts(tts: Tts, tmp_path: Path) -> None:
    run, page = fill_with_secrets(tmp_path), tmp_path / "r.html"
    code, _, _ = tts("report", run, "--out", page, "--text-limit", "0")
    assert code == 0
    told = page.read_text()
    assert [place for place, secret in SECRET.items() if secret in told] == []
    assert "SECRET" not in told
    for kept in ("p3", "vendor/model-7b", "self_consistency", '"stopped":"beta"', "mine"):
        assert kept in told
    tts("report", run, "--out", page)
    whole = page.read_text()
    assert [place for place, secret in SECRET.items() if secret not in whole] == []


def test_a_page_without_texts_still_tells_how_runs_ended(tmp_path: Path) -> None:
    runs, entries = load([fill_with_secrets(tmp_path)])
    told, whole = (
        contents(runs, entries, text_bytes=0, questions=each, replay_rules=False).summary
        for each in (False, True)
    )
    assert [each["answer"] for each in told["results"]] == ["", "", None, "", None]
    for name in ("status", "right", "costs", "calls", "samples", "stopped"):
        assert [e[name] for e in told["results"]] == [e[name] for e in whole["results"]]
    (entry,), (same,) = told["entries"], whole["entries"]
    assert entry["settings"]["prompts"] == LEFT_OUT
    assert entry["settings"]["strategy"]["tools"] == [{"table": LEFT_OUT}]
    assert entry["settings"]["strategy"]["stop"] == "never"
    assert {**entry, "settings": 0} == {**same, "settings": 0}


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
