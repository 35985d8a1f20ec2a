"""What a row keeps of its samples: how votes count them, and what they waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evals.sums import Sums, adds, backend, suite
from tts import Request
from tts.backends import Meter
from tts.errors import BackendUnavailable
from tts.evals.figures import Summary
from tts.evals.harness import Harness
from tts.evals.records import Row
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.evals.summary import summarise
from tts.messages import Completion
from tts.testing import ScriptedBackend, virtual_run


def solved(folder: Path, grid: Suite) -> tuple[dict[str, Summary], list[Row]]:
    async def main() -> tuple[dict[str, Summary], list[Row]]:
        with RunStore(folder / "run.sqlite") as store:
            harness = Harness(grid, folder / "calls.sqlite")
            store.plan(harness.cells, harness.examples)
            await harness.run(store)
            rows = [row for cell in harness.cells for row in store.rows(cell)]
            return {each.strategy: each for each in summarise(store, grid.equal)}, rows

    return virtual_run(main)


def test_stored_samples_vote_as_the_strategy_that_drew_them(tmp_path: Path) -> None:
    """Answers that are equal as mathematics are one answer there, and must be one here.

    Counted apart, each would have less than half of the votes.
    """

    def says(request: Request) -> str:
        return "Answer: " + ("2\\sqrt{2}", "3", "\\sqrt{8}")[(request.seed or 0) % 3]

    grid = suite(backend(says), baseline={"samples": 16}, equal=("total",))
    found, rows = solved(tmp_path, grid)
    keys = {draw.key for row in rows for draw in row.draws}
    assert len(keys - {"3"}) > 1  # spelled as the problem's first one
    assert all(len({draw.key for draw in row.draws} - {"3"}) <= 1 for row in rows)
    for each in found.values():
        for one in each.equal:
            assert (one.better, one.worse) == (0, 0)


class Late(ScriptedBackend):
    """Every fourth attempt fails after its prompt was charged."""

    asked = 0

    async def generate(self, request: Request, meter: Meter) -> Completion:
        self.asked += 1
        if self.asked % 4 == 0:
            meter.prompt_tokens = 40
            raise BackendUnavailable("late")
        return await super().generate(request, meter)


def test_votes_wait_for_failed_attempts_as_strategies_do(tmp_path: Path) -> None:
    model = Late(adds, price=backend().price)
    found, rows = solved(tmp_path, suite(model, tasks=(Sums(problems=12),)))
    pool = found["baseline"]
    assert pool.curve[-1].critical_tokens == pytest.approx(pool.means["critical_tokens"])
    assert pool.curve[-1].total_tokens == pytest.approx(pool.means["total_tokens"])
    delays = {draw.delay_tokens for row in rows for draw in row.draws}
    assert {0, 40} <= delays
    for row in rows:
        late = sum(draw.delay_tokens for draw in row.draws)
        own = sum(draw.prompt_tokens + draw.completion_tokens for draw in row.draws)
        assert own + late == row.usage.total_tokens
