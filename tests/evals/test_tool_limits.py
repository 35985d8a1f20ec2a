"""A tool's limit is one for all problems of a bench in a process, and decides when, never what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.evals.sums import suite
from tts.evals.harness import Harness
from tts.evals.records import Row
from tts.evals.store import RunStore
from tts.messages import Request
from tts.testing import ScriptedBackend, virtual_run
from tts.tools import Tool

PLAN = "1. enter(1)\n2. enter(2)\n3. join()"


class Gate:
    """Counts how many are in at once, and how often it was entered."""

    def __init__(self) -> None:
        self.now = self.most = self.entered = 0

    async def enter(self, x: int) -> int:
        self.now, self.entered = self.now + 1, self.entered + 1
        self.most = max(self.most, self.now)
        await anyio.sleep(1.0)
        self.now -= 1
        return x


def said(request: Request) -> str:
    return {"plan": PLAN, "join": "Finish: 4"}[request.role]


def solved(folder: Path, **settings: Any) -> tuple[Gate, list[tuple[str, str, str | None, bool]]]:
    """Run two strategies with one tool on six problems at once; return its gate and the rows."""
    gate = Gate()
    tool = Tool.of(gate.enter, timeout=1.5, is_shared=False, **settings)
    chosen = {"use": "compiler", "tools": (tool,)}
    strategies = {"one": chosen, "two": {**chosen, "slots": 2}}
    grid = suite(ScriptedBackend(said), strategies=strategies, equal=(), concurrency=6)
    rows: list[Row] = []

    async def main() -> None:
        with RunStore(folder / "run.sqlite") as store:
            harness = Harness(grid, folder / "calls.sqlite")
            store.plan(harness.cells)
            await harness.run(store)
            rows.extend(row for cell in harness.cells for row in store.rows(cell))

    virtual_run(main)
    return gate, sorted((r.cell, r.example, r.answer, bool(r.failed_calls)) for r in rows)


@pytest.mark.parametrize("most", [1, 2])
def test_it_holds_over_all_problems_of_a_bench(tmp_path: Path, most: int) -> None:
    gate, rows = solved(tmp_path, concurrency=most)
    assert (gate.most, gate.entered, len(rows)) == (most, 2 * 2 * 6, 2 * 6)


def test_rows_are_the_same_whatever_the_limit(tmp_path: Path) -> None:
    found = []
    for name, limit in (("few", 1), ("any", None)):
        (tmp_path / name).mkdir()
        gate, rows = solved(tmp_path / name, concurrency=limit)
        assert gate.most == (limit or 12)
        found.append(rows)
    assert found[0] == found[1]
    assert {row[2] for row in found[0]} == {"4"}
