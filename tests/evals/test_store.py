from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sums import row as judged
from tts import ConfigError
from tts.evals import store_file
from tts.evals.records import Cell, Draw, Row
from tts.evals.store import RunStore, StoreFailed
from tts.evals.tries import Spent

CELLS = [Cell(task="graphs", model="m", strategy=name) for name in ("pdr", "self_consistency")]


def row(cell: Cell, example: str, answer: str = "1") -> Row:
    return Row(
        cell=cell.key, example=example, problem="?", right_answer="1", status="ok", answer=answer
    )


def test_a_written_row_is_there_for_a_reader_at_once(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan(CELLS)
        store.add(row(CELLS[0], "b"))
        store.add(row(CELLS[0], "a"))
        with RunStore(tmp_path / "run.sqlite", read_only=True) as reader:
            assert reader.cells() == CELLS
            assert [each.example for each in reader.rows(CELLS[0])] == ["a", "b"]
            assert reader.finished(CELLS[1]) == {}


def test_a_problem_keeps_its_first_row(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a", "1"))
        store.add(row(CELLS[0], "a", "2"))
        assert [each.answer for each in store.rows(CELLS[0])] == ["1"]


@pytest.mark.parametrize("name", ["try#1", "try?x", "50%41", "a b"])
def test_any_name_of_a_folder_is_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with RunStore(tmp_path / name / "run.sqlite") as store:
        store.add(row(CELLS[0], "a"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with RunStore(tmp_path / name / "run.sqlite", read_only=True) as store:
        assert store.count() == 1
        with pytest.raises(StoreFailed, match="readonly"):
            store.add(row(CELLS[0], "b"))


def test_a_row_that_failed_gives_way_and_texts_stand_apart(tmp_path: Path) -> None:
    draws = (Draw(answer="1", key="1", right=True, text="long"),)
    good = row(CELLS[0], "a").model_copy(update={"text": "said", "draws": draws})
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(good.model_copy(update={"status": "failed", "error": "down"}))
        assert (store.count_open(), store.finished(CELLS[0])) == (1, {})
        store.add(good)
        assert (store.count(), store.count_open()) == (1, 0)
        assert list(store.rows(CELLS[0])) == [good]
        (slim,) = store.rows(CELLS[0], texts=False)
        assert (slim.text, slim.draws[0].text, slim.draws[0].answer) == ("", "", "1")


def test_a_store_that_is_locked_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite", patience=0.01) as store:
        holder = sqlite3.connect(tmp_path / "run.sqlite")
        holder.execute("BEGIN IMMEDIATE")
        told = r"is locked; close what holds the file, and go on with --resume"
        with pytest.raises(StoreFailed, match=told):
            store.add(row(CELLS[0], "a"))
        with pytest.raises(StoreFailed, match=told):
            store.plan(CELLS)
        holder.close()
        store.add(row(CELLS[0], "a"))


def test_half_of_a_surrogate_pair_costs_no_row(tmp_path: Path) -> None:
    broken = row(CELLS[0], "a", "\ud800").model_copy(
        update={"text": "x\udfffy", "problem": "\ud800"}
    )
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(broken)
        (kept,) = store.rows(CELLS[0])
    assert (kept.answer, kept.text, kept.problem) == ("\ufffd", "x\ufffdy", "\ufffd")


def test_facts_come_back(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.tell({"suite": {"tasks": ["graphs"]}, "seed": 3})
        store.tell({"seed": 4})
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.about() == {"suite": {"tasks": ["graphs"]}, "seed": 4}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no run store here"),
        (b"", "nothing has been written here yet"),
        (
            b"no database at all, but text of some length" * 20,
            "it is no run store: give the folder",
        ),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "x.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        RunStore(path, read_only=True)


@pytest.mark.parametrize("read_only", [True, False])
def test_the_database_of_somebody_else_is_refused_and_left_alone(
    tmp_path: Path, read_only: bool
) -> None:
    path = tmp_path / "x.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="not a run store, or one of another version"):
        RunStore(path, read_only=read_only)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").touch()
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a"))
        assert store.count() == 1


def test_a_store_in_a_folder_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a"))
    opened = store_file._opened

    def connect(path: Path, how: str, patience: float) -> sqlite3.Connection:
        if how == "?mode=ro":  # what SQLite does where it can make no index of the log
            return opened(path.parent / "missing" / "run.sqlite", how, patience)
        return opened(path, how, patience)

    monkeypatch.setattr(store_file, "_opened", connect)
    with RunStore(tmp_path / "run.sqlite", read_only=True) as again:
        assert again.count() == 1
    (tmp_path / "run.sqlite-wal").write_bytes(b"not written back")
    with pytest.raises(ConfigError, match="make the file readable and its folder writable"):
        RunStore(tmp_path / "run.sqlite", read_only=True)


def test_a_store_that_is_damaged_within_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with RunStore(path) as store:
        store.plan(CELLS)
        for number in range(400):
            store.add(row(CELLS[0], str(number)))
    whole = bytearray(path.read_bytes())
    for page in range(6 * 4096, len(whole) - 4096, 4096):
        whole[page : page + 64] = b"\xff" * 64
    path.write_bytes(whole)
    with (
        RunStore(path, read_only=True) as damaged,
        pytest.raises(StoreFailed, match=r"cannot be read: .* malformed; the file is damaged"),
    ):
        list(damaged.rows(CELLS[0]))


@pytest.mark.parametrize("text", ["cast(x'7bff7d' as text)", "'{broken'", "'{}'", "'null'"])
def test_a_damaged_text_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan(CELLS)
        store.add(row(CELLS[0], "a"))
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as connection:
        connection.execute(f"UPDATE rows SET row = {text}, texts = {text}, open = 1")
        connection.execute(f"UPDATE cells SET cell = {text}")
        connection.commit()
    with RunStore(tmp_path / "run.sqlite", read_only=True) as damaged:
        for read in (
            lambda: damaged.row(CELLS[0].key, "a"),
            lambda: list(damaged.rows(CELLS[0])),
            lambda: damaged.open_rows(CELLS[0]),
            damaged.cells,
        ):
            with pytest.raises(StoreFailed, match=r"cannot be read: .*; the file is damaged") as e:
                read()
            assert "\n" not in str(e.value)


@pytest.mark.parametrize("texts", ["'{}'", "'[]'", "'null'"])
def test_texts_of_another_shape_are_damage(tmp_path: Path, texts: str) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a"))
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as connection:
        connection.execute(f"UPDATE rows SET texts = {texts}")
        connection.commit()
    with (
        RunStore(tmp_path / "run.sqlite", read_only=True) as damaged,
        pytest.raises(StoreFailed, match="the file is damaged"),
    ):
        damaged.row(CELLS[0].key, "a")


def test_what_is_no_fault_of_the_file_is_not_told_as_one(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store, pytest.raises(UnicodeEncodeError):
        store.row("cell", "\ud800")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.count()


def test_a_store_that_is_refused_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (key)")
    opened = list[sqlite3.Connection]()

    class Watched(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            opened.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
        with pytest.raises(ConfigError, match="not a run store"):
            RunStore(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_what_was_paid_is_kept_with_the_row(tmp_path: Path) -> None:
    paid = Spent(calls=2, prompt_tokens=5, cost_usd=None)
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a"), paid)
        assert Spent.model_validate(store.about()["paid"]) == paid


def test_any_setting_changes_the_key_of_a_cell() -> None:
    other = CELLS[0].model_copy(update={"settings": {"samples": 4}})
    assert len({cell.key for cell in (*CELLS, other)}) == 3


def test_a_failed_try_replaces_no_row_that_did_not_fail(tmp_path: Path) -> None:
    first = judged("c", "1", True, draws=(("1", True), ("2", False)), tokens=8)
    unjudged = first.draws[1].model_copy(update={"right": None})
    first = first.model_copy(update={"draws": (first.draws[0], unjudged)})
    failed = first.model_copy(update={"status": "failed", "draws": (), "right": None})
    with RunStore(tmp_path / "run.sqlite") as store:
        for each in (failed, first, failed):
            store.add(each)
        kept = store.row("c", "1")
    assert kept is not None
    assert (kept.status, kept.right, len(kept.draws)) == ("ok", True, 2)
