"""Nothing survives its scope."""

from __future__ import annotations

import anyio
import pytest
from anyio import get_running_tasks

from tests.contracts.roles import actor, seeded_latency
from tts import Budget, Pipeline
from tts.backends import Given
from tts.layers import Account
from tts.solver import open_solver
from tts.testing import virtual_run


@pytest.mark.long
def test_a_thousand_cancelled_runs_leave_no_task_permit_or_reservation() -> None:
    backend = actor(seeded_latency(0.1))
    pipeline = Pipeline(
        models={"m": Given(backend=backend, concurrency=3)},
        strategy={"use": "self_consistency", "samples": 4},  # type: ignore[arg-type]  # parsed by the field
        budget=Budget(total_tokens=100_000, seconds=1000),
    )
    accounts: list[Account] = []

    async def main() -> tuple[int, int, float]:
        async with open_solver(pipeline) as solver:
            for index in range(1000):
                with anyio.move_on_after(0.01 + (index % 100) / 50):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(solver.solve, pipeline.problem("q"))
                        await anyio.sleep(0.005)
                        accounts.extend(solver.accounts)
            promised = sum(account.promised.calls for account in accounts)
            return len(get_running_tasks()) - 1, solver.in_flight, promised

    assert virtual_run(main) == (0, 0, 0)
    assert len(accounts) == 1000
    assert backend.active == 0
    assert any(account.spent.calls for account in accounts)
