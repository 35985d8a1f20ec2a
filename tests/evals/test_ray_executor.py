"""Who gets which job, on a stand-in for Ray; `make ray-test` has the real one."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tests.evals.sums import Sums, backend, suite
from tts import ConfigError
from tts.cli import main
from tts.evals.bill import open_bill
from tts.evals.executor import Job
from tts.evals.keeping import open_calls
from tts.evals.ray_executor import RayExecutor, _Fleet
from tts.evals.ray_worker import WorkerFailed
from tts.evals.records import Row
from tts.evals.tries import Earlier, Spent, Tried
from tts.tasks import first_error
from tts.testing import virtual_run

PAID = Spent(calls=1, prompt_tokens=2)
"""What a worker on another machine tells with each answer."""
Solve = Callable[[int, Job], bool]
"""Whether a worker, told by its number, outlives a job."""


class Died(Exception):
    """What Ray raises for a dead actor."""

    actor_init_failed = False


class Refused(Exception):
    """What Ray raises where it could not call a method."""


class FakeRay:
    """Actors that answer after a second, until a job kills them."""

    def __init__(
        self,
        outlives: Solve,
        *,
        opens: Exception | None = None,
        start: float | Callable[[int], float] = 1,
        loading: float | Callable[[int], float] = 1,
        closing: float = 0,
        refuses: Exception | None = None,
        places: Exception | None = None,
    ) -> None:
        self.exceptions = SimpleNamespace(
            RayActorError=Died, WorkerCrashedError=Died, OutOfMemoryError=Died, RayError=Refused
        )
        self.outlives, self.opens, self.refuses = outlives, opens, refuses
        self.start = start if callable(start) else lambda worker: start
        self.loading = loading if callable(loading) else lambda worker: loading
        self.closing = closing
        self.closed: list[int] = []
        self.places = places
        self.made = self.told = 0
        self.alive: set[Any] = set()

    def remote(self, **options: Any) -> Callable[[type], Any]:
        return lambda kind: SimpleNamespace(remote=self._make)

    def _make(self) -> Any:
        actor = FakeActor(self, self.made)
        self.made += 1
        self.alive.add(actor)
        return actor

    def kill(self, actor: Any) -> None:
        self.alive.discard(actor)

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "here")


class FakeActor:
    def __init__(self, ray: FakeRay, number: int) -> None:
        self.ray, self.number, self.is_dead = ray, number, False
        self.place, self.open, self.solve, self.close = (
            SimpleNamespace(remote=each)
            for each in (self._place, self._open, self._solve, self._close)
        )

    async def _wait(self, seconds: float = 1) -> None:
        await anyio.sleep(seconds)
        if self.is_dead:
            raise Died

    async def _place(self, number: int) -> tuple[str, str]:
        await self._wait(self.ray.start(self.number))
        if self.ray.places is not None:
            raise self.ray.places
        return "here", f"Ray worker {number}"

    async def _open(self, *arguments: Any, is_far: bool) -> Exception | None:
        await self._wait(self.ray.loading(self.number))
        return self.ray.opens

    async def _solve(self, job: Job) -> tuple[list[Row], Spent]:
        if not self.ray.outlives(self.number, job):
            self.is_dead = True
        if self.ray.refuses is not None:
            raise self.ray.refuses
        await self._wait()
        self.ray.told += 1
        return [row(job, key) for key in job.cells], PAID

    def _close(self) -> Awaitable[tuple[list[str], Spent]]:
        async def close() -> tuple[list[str], Spent]:
            await self._wait(self.ray.closing)
            self.ray.closed.append(self.number)
            self.ray.told += 1
            return ["the disk is full"], PAID

        return close()


def row(job: Job, key: str) -> Row:
    return Row(cell=key, example=job.example.id, problem="?", right_answer="?", status="ok")


def run(ray: FakeRay, *, workers: int = 2, at_once: int = 2) -> tuple[list[Row], list[str]]:
    jobs = [Job(example, ("one", "two")) for example in Sums(problems=12).examples()]
    share = suite(backend()).model_copy(update={"concurrency": at_once})
    rows: list[Row] = []

    async def solve() -> list[str]:
        with closing(sqlite3.connect(":memory:")) as file, open_bill(file) as bill:
            fleet = _Fleet(ray, jobs, rows.append, bill)
            async with anyio.create_task_group() as tasks:
                for number in range(workers):
                    tasks.start_soon(fleet.tend, number, share, Path("calls"), ())
            assert bill.total().calls == ray.told
            return fleet.troubles()

    return rows, virtual_run(solve)


def statuses(rows: list[Row]) -> dict[str, int]:
    assert set(Counter((each.cell, each.example) for each in rows).values()) == {1}
    return dict(Counter(each.status for each in rows))


def test_every_job_is_solved_once() -> None:
    ray = FakeRay(lambda worker, job: True)
    rows, troubles = run(ray)
    assert statuses(rows) == {"ok": 24}
    assert (troubles, ray.made, ray.alive) == (["the disk is full"], 2, set())


def test_jobs_of_a_dead_worker_are_begun_again() -> None:
    ray = FakeRay(lambda worker, job: (worker, job.example.id) != (0, "1"))
    rows, troubles = run(ray)
    assert statuses(rows) == {"ok": 24}
    assert troubles[-1].startswith("a Ray worker died, once: its problems were begun again; what")
    assert ray.alive == set()


def test_a_job_that_kills_twice_is_failed() -> None:
    rows, _ = run(FakeRay(lambda worker, job: job.example.id != "5"), at_once=1)
    assert statuses(rows) == {"ok": 22, "failed": 2}
    assert {each.example for each in rows if each.status == "failed"} == {"5"}


def test_a_job_that_kills_fails_alone() -> None:
    rows, troubles = run(FakeRay(lambda worker, job: job.example.id != "3"), at_once=8)
    failed = [each for each in rows if each.status == "failed"]
    asked = {each.id: each.digest for each in Sums(problems=12).examples()}
    assert [(each.example, each.digest) for each in failed] == [("3", asked["3"])] * 2
    assert statuses(rows) == {"ok": 22, "failed": 2}
    assert "a Ray worker died, 2 times" in troubles[-1]


def test_workers_that_die_again_and_again_leave_the_rest() -> None:
    ray = FakeRay(lambda worker, job: False)
    rows, troubles = run(ray, at_once=1)
    assert statuses(rows) == {"failed": 8}  # eight processes have begun four problems, each twice
    assert troubles[-1].startswith("8 problems are left")
    assert ray.made == 8


def test_a_cluster_without_a_free_processor_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ray = FakeRay(lambda worker, job: True, start=10_000)
    with pytest.raises(ExceptionGroup) as raised:
        run(ray)
    assert all("no Ray worker has started" in str(each) for each in raised.value.exceptions)
    assert "a Ray worker has not started in 30 s" in caplog.text
    assert (ray.alive, ray.closed) == (set(), [])


def test_loading_a_model_is_no_wait_for_a_processor(caplog: pytest.LogCaptureFixture) -> None:
    rows, _ = run(FakeRay(lambda worker, job: True, loading=300))
    assert statuses(rows) == {"ok": 24}
    assert "not started" not in caplog.text
    assert "has been opening its models for 120 s" in caplog.text


def test_models_that_never_open_are_told_as_that() -> None:
    ray = FakeRay(lambda worker, job: True, loading=10_000)
    with pytest.raises(ExceptionGroup) as raised:
        run(ray)
    assert all("could open its models" in str(each) for each in raised.value.exceptions)
    assert (ray.alive, ray.closed) == (set(), [0, 1])


def test_a_worker_whose_models_never_open_holds_up_nobody() -> None:
    ray = FakeRay(lambda worker, job: True, loading=lambda worker: 1 if worker == 0 else 10_000)
    rows, _ = run(ray)
    assert statuses(rows) == {"ok": 24}


def test_a_worker_that_never_starts_holds_up_nobody() -> None:
    ray = FakeRay(lambda worker, job: True, start=lambda worker: 1 if worker == 0 else 10_000)
    rows, _ = run(ray)
    assert statuses(rows) == {"ok": 24}


def test_a_mistake_of_the_user_comes_out() -> None:
    ray = FakeRay(lambda worker, job: True, opens=ConfigError("no such model"))
    with pytest.raises(ExceptionGroup) as raised:
        run(ray)
    assert all(isinstance(each, ConfigError) for each in raised.value.exceptions)
    assert ray.alive == set()


def test_a_method_that_ray_cannot_call_is_told_in_a_line() -> None:
    ray = FakeRay(lambda worker, job: True, refuses=Refused("no module\nnamed 'plug'"))
    with pytest.raises(WorkerFailed) as raised, first_error():
        run(ray)
    told = (
        "internal error in Ray worker 0: Refused(\"no module\\nnamed 'plug'\"); --debug shows where"
    )
    assert str(raised.value) == told
    assert (ray.alive, sorted(ray.closed)) == (set(), [0, 1])


def test_a_node_without_the_library_is_told_and_not_tried_again() -> None:
    missing = Died("the actor died because of an error raised in its creation task")
    missing.actor_init_failed = True
    ray = FakeRay(lambda worker, job: True, places=missing)
    with pytest.raises(ConfigError, match="is on every node"), first_error():
        run(ray, workers=1)
    assert (ray.made, ray.alive, ray.closed) == (1, set(), [])


def test_a_worker_that_does_not_close_is_killed_and_that_is_said() -> None:
    ray = FakeRay(lambda worker, job: True, closing=10_000)
    rows, troubles = run(ray)
    assert statuses(rows) == {"ok": 24}
    said = "could not close its models in 10 s: it is killed"
    assert troubles == [f"Ray worker {number} {said}" for number in (0, 1)]
    assert ray.alive == set()


def test_a_killed_try_is_not_counted_to_a_cell_that_is_only_judged_again() -> None:
    (example,) = Sums(problems=1).examples()
    job = Job(example, ("one", "two"))
    judged = Job(example, job.cells, unjudged={"one": row(job, "one")})
    assert [*judged.and_killed().tried] == ["two"]
    both = Job(example, job.cells, unjudged={key: row(job, key) for key in job.cells})
    assert [*job.and_killed().tried] == [*both.and_killed().tried] == ["one"]


def test_killed_tries_are_counted_and_their_cost_is_not_made_up() -> None:
    rows, _ = run(FakeRay(lambda worker, job: job.example.id != "5"), at_once=1)
    failed = [each for each in rows if each.status == "failed"]
    told = "its worker was killed, 2 times; what these tries have paid is not known"
    assert {each.error for each in failed} == {told}
    first, second = failed  # of one job: nobody can tell which was under way, and it counts once
    assert (first.earlier, second.earlier) == (Earlier(tries=2, killed=2), Earlier())
    assert (first.tried, second.tried) == (Tried(tries=2, killed=2), Tried())


def test_ctrl_c_counts_for_no_death_and_leaves_no_worker() -> None:
    ray, rows = FakeRay(lambda worker, job: True), list[Row]()

    async def solve() -> int:
        jobs = [Job(example, ("one",)) for example in Sums(problems=12).examples()]
        share = suite(backend()).model_copy(update={"concurrency": 2})
        with closing(sqlite3.connect(":memory:")) as file, open_bill(file) as bill:
            fleet = _Fleet(ray, jobs, rows.append, bill)
            with anyio.move_on_after(3.5):
                await fleet.tend(0, share, Path("calls"), ())
            assert bill.total().calls == ray.told == 3  # two jobs, and what it told as it closed
        return len(fleet._waiting)

    assert virtual_run(solve) == 10
    assert (statuses(rows), ray.alive, ray.closed) == ({"ok": 2}, set(), [0])


def test_without_the_extra_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    executor = RayExecutor()
    jobs = [Job(example, ("one",)) for example in Sums(problems=1).examples()]
    with (
        open_calls(tmp_path / "calls.sqlite") as calls,
        pytest.raises(ConfigError, match=r"pip install 'tts-orchestrator\[ray\]'"),
    ):
        anyio.run(executor.run, suite(backend()), jobs, calls, lambda row: None)


def test_workers_without_ray_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "tasks: [{use: graphs, level: 2, problems: 1}]\n"
        "models: {main: reference}\n"
        "strategies: {vote: {use: self_consistency, samples: 2, stop: never}}\n"
    )
    with pytest.raises(SystemExit) as exit_:
        main(["bench", str(path), "--out", str(tmp_path / "o"), "--workers", "2"])
    assert exit_.value.code == 2
    assert "--executor ray" in capsys.readouterr().err
