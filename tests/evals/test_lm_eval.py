from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import ConfigError
from tts.cli import main
from tts.evals.lm_eval import _stderr, export_lm_eval
from tts.evals.records import Cell, Draw, Row
from tts.evals.store import RunStore
from tts.evals.tasks.base import Example
from tts.ledger import RunUsage
from tts.problem import Problem


def row(cell: Cell, example: int, right: bool | None, **more: Any) -> Row:
    usage = RunUsage.model_construct(calls=3, total_tokens=100 + example, critical_tokens=50)
    said = f"Answer: {example}"
    given: dict[str, Any] = {
        "cell": cell.key,
        "example": f"e{example}",
        "problem": f"What is {example}?",
        "right_answer": str(example),
        "extra": {"level": 2},
        "status": "ok",
        "answer": str(example),
        "text": said,
        "right": right,
        "usage": usage,
        "draws": (Draw(answer="1", key="1", right=right, text=said),),
        "finished_at": "2026-01-02T03:04:05.600+00:00",
    }
    return Row.model_validate(given | more)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Two strategies on two tasks; one row without a verdict, one run that failed."""
    kept = RunStore(tmp_path / "run.sqlite")
    names = [(task, way) for way in ("vote", "best") for task in ("sums", "odd/one")]
    cells = [
        Cell(task=task, model="main", strategy=way, budget="total=9", settings={"n": 1})
        for task, way in names
    ]
    kept.plan(cells)
    kept.tell({"began": "2026-01-02T03:00:05+00:00", "problems": {cell.key: 5 for cell in cells}})
    for cell in cells:
        for example in range(4):
            kept.add(row(cell, example, right=example > 0))
    kept.add(row(cells[0], 4, right=None, check_failure="no verdict"))
    kept.add(row(cells[1], 4, right=None, status="failed", error="down"))
    return kept


def results(store: RunStore, folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in export_lm_eval(store, folder)]


def test_a_model_is_a_model_with_a_strategy_a_budget_and_a_seed(
    store: RunStore, tmp_path: Path
) -> None:
    told = results(store, tmp_path / "out")
    assert [each["model_name"] for each in told] == [
        "main/vote,total=9,seed=0",
        "main/best,total=9,seed=0",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "main__best__total__9__seed__0",
        "main__vote__total__9__seed__0",
    ]


def test_accuracy_is_over_the_problems_with_a_verdict(store: RunStore, tmp_path: Path) -> None:
    first = results(store, tmp_path / "out")[0]
    sums = first["results"]["sums"]
    assert sums["exact_match,none"] == 0.75
    assert sums["exact_match_stderr,none"] == pytest.approx(0.25)
    assert sums["total_tokens,none"] == 101.5
    assert first["n-samples"]["sums"] == {"original": 5, "effective": 4}
    assert first["higher_is_better"]["sums"]["exact_match"] is True
    assert first["total_evaluation_time_seconds"] == "240.6"


def test_every_task_stands_in_every_table(store: RunStore, tmp_path: Path) -> None:
    first = results(store, tmp_path / "out")[0]
    tables = ("results", "configs", "versions", "n-shot", "n-samples", "task_hashes")
    assert all(set(first[table]) == {"sums", "odd/one"} for table in tables)


def test_a_sample_is_a_line_with_what_was_asked_and_said(store: RunStore, tmp_path: Path) -> None:
    (path, _) = export_lm_eval(store, tmp_path / "out")
    (samples,) = path.parent.glob("samples_sums_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [line["exact_match"] for line in lines] == [0.0, 1.0, 1.0, 1.0]
    assert lines[1]["doc"] == {"id": "e1", "question": "What is 1?", "answer": "1", "level": 2}
    assert lines[1]["resps"] == [["Answer: 1"]]
    assert lines[1]["filtered_resps"] == ["1"]
    assert samples.name == path.name.replace("results", "samples_sums").replace("json", "jsonl")


def test_a_problem_has_one_number_whoever_answers(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run.sqlite") as store:
        cells = [Cell(task="sums", model="main", strategy=way) for way in "ab"]
        store.plan(cells)
        for cell in cells:
            for example in range(3):
                lost = (cell.strategy, example) == ("b", 0)
                more = {"status": "failed", "error": "down"} if lost else {}
                store.add(row(cell, example, right=None if lost else True, **more))
        paths = export_lm_eval(store, tmp_path / "out")
    numbers = []
    for path in paths:
        (samples,) = path.parent.glob("samples_*.jsonl")
        lines = [json.loads(line) for line in samples.read_text().splitlines()]
        numbers.append({line["doc"]["id"]: line["doc_id"] for line in lines})
    assert numbers == [{"e0": 0, "e1": 1, "e2": 2}, {"e1": 1, "e2": 2}]


@pytest.mark.parametrize("solved", [[2], [1, 2], [0, 1, 2]])
def test_the_number_is_the_place_in_the_plan_however_far_the_run_is(
    tmp_path: Path, solved: list[int]
) -> None:
    order = (2, 0, 1)
    asked = [
        Example(id=f"e{n}", problem=Problem(text=f"What is {n}?"), answer=str(n)) for n in order
    ]
    cell = Cell(task="sums", model="main", strategy="a")
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan([cell], {"sums": asked})
        assert list(store.planned()["sums"]) == ["e2", "e0", "e1"]
        for example in asked:
            if int(example.answer) in solved:
                store.add(row(cell, int(example.answer), right=True, digest=example.digest))
        (path,) = export_lm_eval(store, tmp_path / "out")
    (samples,) = path.parent.glob("samples_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    places = {line["doc"]["id"]: line["doc_id"] for line in lines}
    assert places == {f"e{n}": order.index(n) for n in solved}


def test_an_empty_run_is_refused(tmp_path: Path) -> None:
    with (
        RunStore(tmp_path / "run.sqlite") as empty,
        pytest.raises(ConfigError, match="nothing to export"),
    ):
        export_lm_eval(empty, tmp_path / "out")


def test_a_folder_that_cannot_be_made(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        export_lm_eval(store, tmp_path / "file")


@given(st.lists(st.booleans(), min_size=2))
def test_the_error_of_a_share_is_the_binomial_one(values: list[bool]) -> None:
    share = sum(values) / len(values)
    expected = (share * (1 - share) / (len(values) - 1)) ** 0.5
    assert _stderr([float(value) for value in values]) == pytest.approx(expected)


def test_the_command_prints_the_files(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.close()
    with pytest.raises(SystemExit) as exit_:
        main(["export", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not exit_.value.code
    assert all(Path(line).exists() for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([("sums", "v:1"), ("sums", "v/1")], "entries 'main/v:1,.*' and 'main/v/1,.*' would be"),
        ([("a-b", "vote"), ("a b", "vote")], "tasks 'a-b' and 'a b' would be .* 'a_b': rename"),
        ([("Sums", "vote"), ("sums", "vote")], "tasks 'Sums' and 'sums'"),
    ],
)
def test_names_that_one_file_cannot_tell_apart_are_refused(
    tmp_path: Path, names: list[tuple[str, str]], reason: str
) -> None:
    kept = RunStore(tmp_path / "run.sqlite")
    cells = [
        Cell(task=task, model="main", strategy=way, budget="none", settings={})
        for task, way in names
    ]
    kept.plan(cells)
    for cell in cells:
        kept.add(row(cell, 1, right=True))
    with pytest.raises(ConfigError, match=reason):
        export_lm_eval(kept, tmp_path / "out")
    assert not (tmp_path / "out").exists()
