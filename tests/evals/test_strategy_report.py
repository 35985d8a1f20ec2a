from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tts import Strategy
from tts.evals.bench.strategy_report import report, show
from tts.evals.bench.strategy_rows import POOL, Entry, Store, Task

TASKS = [Task(f"t{at}", 1, "Q", "7") for at in range(3)]
FAILED: dict[str, Any] = {"answer": None, "failed": True}


def entry(folder: Path, name: str, rows: list[dict[str, Any]]) -> Entry:
    strategy = Strategy.parse({"use": "self_consistency", "samples": 4, "stop": "never"})
    store = Store(folder, name, {}, "")
    for task, row in zip(TASKS, rows, strict=True):
        store.add({"id": task.id, **row})
    return Entry(name, strategy, store)


def entries(folder: Path, rows: list[dict[str, Any]]) -> list[Entry]:
    pool = [{"answers": ["7"] * 4, "costs": [cost] * 4} for cost in (10, 10, 1000)]
    return [entry(folder, POOL, pool), entry(folder, "pdr", rows)]


def test_failed_problems_count_on_neither_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spent = {"answer": "7", "oracle": True, "total_tokens": 20, "critical_tokens": 10}
    (result,), alone = report(TASKS, entries(tmp_path, [spent, spent, FAILED]))
    assert (result.problems, result.failed, result.accuracy.mean) == (2, 1, 1.0)
    assert result.means["total_tokens"] == 20
    assert result.equal_total.samples == 2.0  # the dear problem is not part of the baseline
    show([result], alone)
    *_, heads, _, row = (line.split(" | ") for line in capsys.readouterr().out.splitlines())
    assert row[heads.index("failed")] == "1"


def test_an_entry_that_always_failed_has_no_result(tmp_path: Path) -> None:
    assert report(TASKS, entries(tmp_path, [FAILED] * 3))[0] == []
