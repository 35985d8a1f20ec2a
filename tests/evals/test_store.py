from __future__ import annotations

from pathlib import Path

import pytest

from tts import ConfigError
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore

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
            assert reader.finished(CELLS[1]) == set()


def test_a_problem_keeps_its_first_row(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add(row(CELLS[0], "a", "1"))
        store.add(row(CELLS[0], "a", "2"))
        assert [each.answer for each in store.rows(CELLS[0])] == ["1"]


def test_facts_come_back(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        store.tell({"suite": {"tasks": ["graphs"]}, "seed": 3})
        store.tell({"seed": 4})
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.about() == {"suite": {"tasks": ["graphs"]}, "seed": 4}


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but text of some length"])
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="run store"):
        RunStore(path, read_only=True)


def test_any_setting_changes_the_key_of_a_cell() -> None:
    other = CELLS[0].model_copy(update={"settings": {"samples": 4}})
    assert len({cell.key for cell in (*CELLS, other)}) == 3
