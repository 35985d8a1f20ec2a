from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.evals.sharing import most_workers, share_of
from tts.evals.suite import Suite

LIMIT = st.one_of(st.none(), st.integers(8, 5000))


def suite(problems: int = 16, model: dict[str, Any] | None = None, **lineup: Any) -> Suite:
    models = {"model": {"backend": "reference", **(model or {})}}
    return Suite.model_validate(
        {
            "tasks": ["graphs"],
            "models": {"main": {"models": models, **lineup}},
            "strategies": {"vote": {"use": "self_consistency", "samples": 3}},
            "concurrency": problems,
        }
    )


def limits_of(shared: Suite) -> list[int | None]:
    lineup = shared.models["main"]
    provider = lineup.models["model"]
    told = [shared.concurrency, lineup.concurrency, provider.concurrency]
    kept = provider.limits
    at_once = kept.concurrency if isinstance(kept.concurrency, int) else None
    return [*told, kept.rpm, kept.tpm, at_once]


@given(st.integers(1, 8), st.integers(8, 99), LIMIT, LIMIT, LIMIT, LIMIT)
def test_the_shares_add_up_to_the_whole(
    workers: int, most: int, rpm: int | None, tpm: int | None, calls: int | None, line: int | None
) -> None:
    limits = {"rpm": rpm, "tpm": tpm, "concurrency": calls}
    whole = suite(most, {"limits": limits, "concurrency": most}, concurrency=line)
    shares = [limits_of(share_of(whole, worker, workers)) for worker in range(workers)]
    for place, limit in enumerate(limits_of(whole)):
        parts = [share[place] for share in shares]
        if limit is None:
            assert set(parts) == {None}
        else:
            assert sum(part or 0 for part in parts) == limit
            assert min(part or 0 for part in parts) >= 1


def test_cells_keep_their_keys_and_problems_their_budgets() -> None:
    whole = suite(8, {"limits": {"rpm": 100}})
    shared = share_of(whole, 1, 2)
    assert [each.cell.key for each in shared.entries()] == [
        each.cell.key for each in whole.entries()
    ]
    assert shared.budgets == whole.budgets


@pytest.mark.parametrize(
    ("limits", "most"), [({}, 16), ({"rpm": 3}, 3), ({"tpm": 9}, 9), ({"concurrency": "auto"}, 16)]
)
def test_there_are_no_more_workers_than_can_have_a_part(limits: dict[str, Any], most: int) -> None:
    assert most_workers(suite(16, {"limits": limits})) == most


def test_a_window_that_finds_its_own_size_stays_so() -> None:
    shared = share_of(suite(16, {"limits": {"concurrency": "auto"}}), 0, 2)
    assert shared.models["main"].models["model"].limits.concurrency == "auto"
    assert shared.models["main"].models["model"].concurrency == 32
