"""The soak, the short way: `python -m tts.evals.bench.soak` does ten thousand runs."""

from __future__ import annotations

import pytest

from tts.evals.bench.soak import MUST_BE_ZERO, soak


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_under_random_faults_and_cancellation_leave_nothing_wrong(seed: int) -> None:
    figures = soak(500, seed)
    assert figures["must_be_zero"] == dict.fromkeys(MUST_BE_ZERO, 0)
    seen = figures["seen"]
    assert seen["run: cancelled"] > 50
    assert seen["call: sent more than once"] > 50
    assert seen["call: hedged"] > 5
    assert seen["call: cached"] > 5
