from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.evals.sums import Same, adds, backend, suite
from tts import Request
from tts.backends import Capabilities, Given
from tts.errors import AuthenticationError, ConfigError
from tts.evals.executor import Job
from tts.evals.harness import Harness
from tts.evals.keeping import Calls
from tts.evals.records import Row
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.evals.summary import summarise
from tts.evals.tasks.base import Example
from tts.evals.tasks.graphs import Graphs
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

Rows = dict[tuple[str, str, int, str], Row]


def fill(folder: Path, grid: Suite, **settings: Any) -> Rows:
    """Run a suite in a folder, on what is there; return its rows by place."""

    async def main() -> Rows:
        with RunStore(folder / "run.sqlite") as store:
            harness = Harness(grid, folder / "calls.sqlite", **settings)
            store.plan(harness.cells, harness.examples)
            await harness.run(store)
            return {
                (cell.task, cell.strategy, cell.seed, row.example): row
                for cell in harness.cells
                for row in store.rows(cell)
            }

    return virtual_run(main)


def folder_in(path: Path, name: str) -> Path:
    (path / name).mkdir()
    return path / name


def told(rows: Rows) -> dict[Any, Any]:
    """All of the rows but what depends on the clock or names a trace."""
    left_out = {"finished_at": True, "trace": True, "usage": {"wall_seconds", "critical_seconds"}}
    return {place: row.model_dump(exclude=left_out) for place, row in rows.items()}  # type: ignore[arg-type]  # fields to leave out


def test_every_cell_gets_every_problem_judged(tmp_path: Path) -> None:
    rows = fill(tmp_path, suite(backend(), seeds=[0, 1]))
    assert len(rows) == 3 * 2 * 6
    vote = rows["sums", "vote", 1, "3"]
    assert (vote.problem, vote.right_answer, vote.status) == ("3 + 3 = ?", "6", "ok")
    assert vote.right is (vote.answer == "6")
    assert [draw.right for draw in vote.draws] == [draw.answer == "6" for draw in vote.draws]
    assert vote.trace[-1]["event"] == "end"
    assert len(rows["sums", "baseline", 0, "1"].draws) == 8


def test_strategies_share_draws_and_pay_for_them_alike(tmp_path: Path) -> None:
    model = backend()
    rows = fill(tmp_path, suite(model))
    assert len(model.requests) == 6 * 8  # what the baseline draws is all that there is
    pool, vote = rows["sums", "baseline", 0, "1"], rows["sums", "vote", 0, "1"]
    assert vote.draws == pool.draws[:4]
    assert vote.usage.total_tokens == pool.usage.total_tokens // 2
    assert vote.usage.cost_usd == pytest.approx((pool.usage.cost_usd or 0) / 2)
    assert (pool.replayed_calls, vote.replayed_calls, vote.usage.cached_calls) == (0, 4, 0)
    assert (pool.replayed_tokens, pool.replayed_usd) == (0, 0.0)
    assert vote.replayed_tokens == vote.usage.total_tokens
    assert vote.replayed_usd == pytest.approx(vote.usage.cost_usd)


def test_without_sharing_each_cell_makes_its_own_calls(tmp_path: Path) -> None:
    model = backend()
    rows = fill(tmp_path, suite(model, share=False))
    assert len(model.requests) == 6 * (8 + 4 + 1)
    assert all(row.replayed_calls == 0 for row in rows.values())


@pytest.mark.parametrize(
    ("keep", "texts", "traced"), [("trace", False, True), ("answers", False, False)]
)
def test_less_is_kept_where_less_is_asked(
    tmp_path: Path, keep: str, texts: bool, traced: bool
) -> None:
    row = fill(tmp_path, suite(backend(), keep=keep))["sums", "vote", 0, "1"]
    assert bool(row.text or any(draw.text for draw in row.draws)) is texts
    assert bool(row.trace) is traced
    assert row.answer is not None
    assert len(row.draws) == 4


def test_rows_do_not_depend_on_how_much_goes_on_at_once(tmp_path: Path) -> None:
    def late(request: Request) -> float:
        return ((request.seed or 0) % 7) / 10

    found = []
    for concurrency in (1, 5):
        model = ScriptedBackend(adds, latency=late)
        grid = suite(model, concurrency=concurrency, equal=("total",))
        found.append((told(fill(folder_in(tmp_path, f"{concurrency}"), grid)), len(model.requests)))
    assert found[0] == found[1]


def test_rows_of_the_bundled_model_do_not_depend_on_it_either(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "tasks": [Graphs(level=1, problems=3)],
        "models": {"m": {"backend": "reference", "sampling": {"max_tokens": 60}}},
        "strategies": {
            "vote": {"use": "self_consistency", "samples": 4},
            "best": {"use": "best_of_n", "samples": 3, "verifier": "logprob"},
        },
        "equal": "total",
        "baseline": {"samples": 4},
    }
    found = []
    for concurrency in (1, 3):
        grid = Suite.model_validate(settings | {"concurrency": concurrency})
        folder = folder_in(tmp_path, f"{concurrency}")

        async def main(grid: Suite = grid, folder: Path = folder) -> dict[Any, Any]:
            with RunStore(folder / "run.sqlite") as store:
                harness = Harness(grid, folder / "calls.sqlite")
                await harness.run(store)
                rows = {
                    (cell.task, cell.strategy, 0, row.example): row
                    for cell in harness.cells
                    for row in store.rows(cell)
                }
                return told(rows)

        found.append(anyio.run(main))
    assert found[0] == found[1]
    assert len(found[0]) == 9


def test_what_is_there_is_not_solved_again_and_more_problems_are_only_added(tmp_path: Path) -> None:
    model = backend()
    first = fill(tmp_path, suite(model), limit=2)
    asked = len(model.requests)
    rows = fill(tmp_path, suite(model), limit=4)
    assert len(model.requests) == 2 * asked
    assert all(rows[place] == row for place, row in first.items())
    assert len(rows) == 3 * 4


def test_another_strategy_asks_only_what_nobody_asked(tmp_path: Path) -> None:
    model = backend()
    fill(tmp_path, suite(model))
    asked = len(model.requests)
    more = {"vote": {"use": "self_consistency", "samples": 10, "stop": "never"}}
    rows = fill(tmp_path, suite(model, strategies=more))
    assert len(model.requests) == asked + 6 * 2
    assert rows["sums", "vote", 0, "1"].usage.calls == 10


def test_failures_of_the_model_are_rows_with_what_they_cost(tmp_path: Path) -> None:
    model = FlakyBackend(backend(), lambda request: "2 + 2" in request.messages[-1].content)
    rows = fill(tmp_path, suite(model))  # type: ignore[arg-type]  # another fake
    failed = rows["sums", "vote", 0, "2"]
    assert (failed.status, failed.right, failed.answer) == ("failed", None, None)
    assert "the server is down" in (failed.error or "")
    assert rows["sums", "vote", 0, "3"].status == "ok"


def test_what_was_not_judged_is_judged_again_without_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend(lambda request: "Answer: 13")
    assert {row.right for row in fill(tmp_path, suite(model)).values()} == {None}
    asked = len(model.requests)

    async def check(self: Same, answer: str | None, text: str, example: Example) -> bool:
        return False

    monkeypatch.setattr(Same, "check", check)
    assert {row.right for row in fill(tmp_path, suite(model)).values()} == {False}
    assert len(model.requests) == asked


def test_a_problem_that_has_changed_is_solved_anew_and_one_that_went_is_not_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.jsonl"

    def accuracies(*lines: tuple[str, str, str]) -> dict[str, tuple[int, float]]:
        rows = [{"id": name, "question": asked, "answer": right} for name, asked, right in lines]
        path.write_text("\n".join(map(json.dumps, rows)))
        grid = suite(backend(), tasks=[{"use": "jsonl", "path": str(path)}], equal=())
        fill(tmp_path, grid)
        with RunStore(tmp_path / "run.sqlite", read_only=True) as store:
            found = {each.strategy: each for each in summarise(store)}
        return {name: (each.n, each.accuracy.mean) for name, each in found.items() if each.accuracy}

    wrong = accuracies(("a", "1 + 1", "9"), ("b", "2 + 2", "99"))
    assert set(wrong.values()) == {(2, 0.0)}
    right = accuracies(("a", "1 + 1", "2"), ("b", "2 + 2", "99"))
    assert right["vote"] == (2, 0.5)
    assert accuracies(("a", "1 + 1", "2"))["vote"] == (1, 1.0)


def test_a_checker_that_fails_is_no_wrong_answer(tmp_path: Path) -> None:
    rows = fill(tmp_path, suite(backend(lambda request: "Answer: 13")))
    vote = rows["sums", "vote", 0, "1"]
    assert (vote.right, vote.check_failure, vote.status) == (None, "13 is unlucky", "ok")
    assert {draw.right for draw in vote.draws} == {None}
    bug = fill(folder_in(tmp_path, "2"), suite(backend(lambda request: "Answer: 66")))
    assert "a bug" in (bug["sums", "vote", 0, "1"].check_failure or "")


def test_a_wrong_key_ends_the_bench(tmp_path: Path) -> None:
    model = FlakyBackend(backend(), lambda request: True, lambda: AuthenticationError("no key"))
    with pytest.raises(AuthenticationError, match="no key"):
        fill(tmp_path, suite(model))  # type: ignore[arg-type]  # another fake
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.count() == 0


def test_a_strategy_that_cannot_work_is_refused_before_the_first_call(tmp_path: Path) -> None:
    model = backend(capabilities=Capabilities(seed=True))
    grid = suite(model, strategies={"best": {"use": "best_of_n", "verifier": "logprob"}})
    with pytest.raises(ConfigError, match="'logprobs'"):
        fill(tmp_path, grid)
    assert model.requests == []


def test_a_model_that_cannot_be_opened_is_named_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "tasks: [{use: graphs, level: 1, problems: 1}]\n"
        "models:\n"
        "  both:\n"
        "    models:\n"
        "      good: {backend: reference}\n"
        f"      bad: {{backend: replay, cassette: {tmp_path}/none.jsonl}}\n"
        "    roles: {solve: good}\n"
        "strategies: {vote: {use: self_consistency, samples: 2}}\n"
    )
    with pytest.raises(ConfigError, match=r"suite\.yaml:6:7: "):
        fill(tmp_path, Suite.load(path))


def test_cancelled_it_keeps_finished_rows_and_calls(tmp_path: Path) -> None:
    model = ScriptedBackend(adds, latency=lambda request: 1.0 + (request.seed or 0) % 5)
    grid = suite(model, concurrency=1)

    async def main() -> tuple[int, int]:
        with RunStore(tmp_path / "run.sqlite") as store:
            harness = Harness(grid, tmp_path / "calls.sqlite")
            with anyio.move_on_after(12.5):
                await harness.run(store)
            assert model.active == 0
            return store.count(), len(model.requests)

    kept, asked = virtual_run(main)
    assert 0 < kept < 18
    rows = fill(tmp_path, grid)
    assert len(rows) == 18
    assert len(model.requests) <= 48 + 8  # none but those that were under way
    assert asked < len(model.requests)
    whole = fill(folder_in(tmp_path, "whole"), grid)
    costs = [
        {
            place: row.usage.model_dump(exclude={"wall_seconds", "critical_seconds"})
            for place, row in each.items()
        }
        for each in (rows, whole)
    ]
    assert costs[0] == costs[1]


def test_an_executor_gets_what_is_missing_and_its_rows_are_kept(tmp_path: Path) -> None:
    seen: list[Job] = []

    class Nowhere:
        async def run(
            self, suite: Suite, jobs: Sequence[Job], calls: Calls, on_row: Callable[[Row], None]
        ) -> list[str]:
            seen.extend(jobs)
            return ["nothing was done"]

    async def main() -> list[str]:
        with RunStore(tmp_path / "run.sqlite") as store:
            grid = suite(backend())
            return await Harness(grid, tmp_path / "c", 2, Nowhere()).run(store)

    assert virtual_run(main) == ["nothing was done"]
    assert [(job.example.id, len(job.cells)) for job in seen] == [("1", 3), ("2", 3)]


def test_each_model_draws_for_itself(tmp_path: Path) -> None:
    models = {name: backend() for name in ("one", "two")}
    for name, model in models.items():
        model.name = name
    lineups = {name: {"models": {"m": Given(backend=each)}} for name, each in models.items()}
    fill(tmp_path, suite(models["one"], models=lineups))
    assert [len(model.requests) for model in models.values()] == [48, 48]
