"""The executor `ray` on a cluster of two workers in this machine: `make ray-test`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from glob import glob
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import anyio
import pytest
import ray

from tts import ConfigError
from tts.backends.base import Given
from tts.cli import main
from tts.errors import BackendUnavailable, BudgetExceeded, TTSError
from tts.evals.executor import Executor, Local
from tts.evals.harness import Harness
from tts.evals.keeping import open_calls
from tts.evals.own_folder import own_folder
from tts.evals.ray_executor import RayExecutor
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.messages import Request
from tts.testing import ScriptedBackend

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own
PROBLEMS = 24
SMALL = """
tasks: [{use: graphs, level: 2, problems: 4}]
models: {main: reference}
strategies: {vote: {use: self_consistency, samples: 2, stop: never}}
"""


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def answer(request: Request, folder: str, deadly: str, often: int) -> str:
    """Add two numbers; on the deadly problem kill this process, so often."""
    asked = request.messages[-1].content
    numbers = asked.partition("add ")[2].split()[:2]
    with open(f"{folder}/calls", "a", encoding="utf-8") as file:
        print(f"{os.getpid()} {numbers[0]} {len(folders())}", file=file)
    if numbers[0] == deadly:
        marks = [f"{folder}/killed{index}" for index in range(often)]
        for mark in marks:
            if not os.path.exists(mark):
                Path(mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)
    return f"Answer: {int(numbers[0]) + int(numbers[1])}"


def suite(folder: Path, *, deadly: str = "none", often: int = 1, **more: Any) -> Suite:
    lines = [
        {"id": str(index), "question": f"add {index} 5", "answer": str(index + 5)}
        for index in range(PROBLEMS)
    ]
    path = folder / "sums.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    script = partial(answer, folder=str(folder), deadly=deadly, often=often)
    backend = ScriptedBackend(script, latency=0.02)
    return Suite.model_validate(
        {
            "tasks": [{"use": "jsonl", "path": str(path)}],
            "models": {"scripted": {"models": {"model": Given(backend=backend)}}},
            "strategies": {
                "vote": {"use": "self_consistency", "samples": 3, "stop": "never"},
                "best": {"use": "best_of_n", "samples": 2},
            },
            "concurrency": 4,
            **more,
        }
    )


def solved(folder: Path, chosen: Suite, executor: Executor) -> tuple[list[Row], list[str], int]:
    """Return the rows of the store, the troubles, and how many rows were handed over."""
    handed: list[Row] = []

    def count(cell: Cell, row: Row) -> None:
        handed.append(row)

    with RunStore(folder / "run.sqlite") as store:
        harness = Harness(chosen, folder / "calls.sqlite", executor=executor, on_row=count)
        store.plan(harness.cells)
        troubles = anyio.run(harness.run, store)
        rows = [row for cell in harness.cells for row in store.rows(cell)]
    return rows, troubles, len(handed)


def told(row: Row) -> tuple[object, ...]:
    usage = row.usage.model_copy(update={"wall_seconds": 0.0, "critical_seconds": 0.0})
    return row.cell, row.example, row.status, row.answer, row.right, usage, row.draws


def workers(folder: Path) -> set[str]:
    return {line.split()[0] for line in (folder / "calls").read_text().splitlines()}


def test_two_workers_give_the_rows_of_one_process(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, _, _ = solved(tmp_path / "one", suite(tmp_path / "one"), Local())
    two, troubles, handed = solved(tmp_path / "two", suite(tmp_path / "two"), RayExecutor(2))
    assert handed == len(two) == 2 * PROBLEMS
    assert troubles == []
    assert [row.model_copy(update={"cell": ""}).right for row in two] == [True] * len(two)
    assert [told(row)[1:] for row in one] == [told(row)[1:] for row in two]
    assert len(workers(tmp_path / "two")) == 2


def test_a_killed_worker_s_problems_are_begun_again_and_counted_once(tmp_path: Path) -> None:
    rows, troubles, handed = solved(tmp_path, suite(tmp_path, deadly="7"), RayExecutor(2))
    assert (tmp_path / "killed0").exists()
    assert handed == len(rows) == 2 * PROBLEMS
    assert set(Counter((row.cell, row.example) for row in rows).values()) == {1}
    assert {row.status for row in rows} == {"ok"}
    assert {row.usage.calls for row in rows} == {2, 3}
    assert any("died" in trouble for trouble in troubles)
    assert len(workers(tmp_path)) >= 2


def test_who_kills_twice_is_a_failed_row_and_the_others_go_on(tmp_path: Path) -> None:
    chosen = suite(tmp_path, deadly="7", often=9, concurrency=2)
    rows, _, handed = solved(tmp_path, chosen, RayExecutor(2))
    failed = [row for row in rows if row.status == "failed"]
    assert handed == len(rows) == 2 * PROBLEMS
    assert {row.example for row in failed} == {"7"}
    assert len(failed) == 2
    assert "killed" in str(failed[0].error)


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    solved(tmp_path, suite(tmp_path), RayExecutor(2))
    calls = (tmp_path / "calls").read_text()
    rows, _, handed = solved(tmp_path, suite(tmp_path), RayExecutor(2))
    assert (handed, len(rows)) == (0, 2 * PROBLEMS)
    assert (tmp_path / "calls").read_text() == calls


def test_a_mistake_of_the_user_comes_out_as_one(tmp_path: Path) -> None:
    missing = {"backend": "replay", "cassette": str(tmp_path / "missing.jsonl")}
    chosen = suite(tmp_path, models={"replayed": {"models": {"model": missing}}})
    with pytest.raises(ConfigError, match=r"missing\.jsonl"):
        solved(tmp_path, chosen, RayExecutor(2))


@contextmanager
def refusing(error: Exception) -> Iterator[None]:
    """Something to stay in that cannot be entered: a worker raises it when it opens."""
    raise error
    yield


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailable("the server at http://gpu:8000 is down", status=503),
        ConfigError("no such model", path="suite.yaml", line=3),
        BudgetExceeded("calls", spent=7, limit=10),
        ValueError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_in_a_worker_comes_out_in_a_line(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(TTSError) as raised:
        solved(tmp_path, suite(tmp_path), RayExecutor(1, [partial(refusing, error)]))
    told = str(raised.value)
    assert "\n" not in told
    assert "Traceback" in raised.value.__notes__[0]
    if isinstance(error, TTSError):
        assert (type(raised.value), told) == (type(error), str(error))
    else:
        assert re.match(r"internal error in Ray worker 0 \(process \d+ on .*ValueError", told)


def test_workers_elsewhere_leave_no_folder_even_if_they_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray.runtime_context.RuntimeContext, "get_node_id", lambda self: "elsewhere")
    with own_folder():
        pass  # what other programs have left is gone then
    before = folders()
    chosen = suite(tmp_path, deadly="7")
    rows, _, _ = solved(tmp_path, chosen, RayExecutor(1))
    assert {row.status for row in rows} == {"ok"}
    with open_calls(tmp_path / "calls.sqlite") as calls:
        assert calls.store.stats().entries == 0
        told = calls.bill.total().total_tokens
    assert told == sum(row.usage.total_tokens - row.replayed_tokens for row in rows)
    assert (tmp_path / "killed0").exists()
    used = {line.split()[2] for line in (tmp_path / "calls").read_text().splitlines()}
    assert used == {str(len(before) + 1)}
    assert folders() == before


def folders() -> set[str]:
    return set(glob(f"{gettempdir()}/tts-ray-*"))


def test_an_address_where_nothing_answers_is_told(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    code = (
        "from tts.cli import main; from tts.evals import ray_cluster; ray_cluster._REACH = 2; "
        f"main(['bench', {str(path)!r}, '--out', {str(tmp_path / 'o')!r}, '--executor', 'ray'])"
    )
    for address in ("127.0.0.1:1", "nonsense"):
        where = {**os.environ, "RAY_ADDRESS": address}
        run = subprocess.run(
            [sys.executable, "-c", code], env=where, capture_output=True, text=True, check=False
        )
        told = [line for line in run.stderr.splitlines() if line.startswith("tts: ")]
        assert run.returncode == 2
        assert told[-1].startswith(f"tts: the Ray cluster of RAY_ADDRESS={address} cannot be reach")
        assert "Traceback" not in run.stderr


def test_ctrl_c_keeps_what_is_done_and_ends_the_workers(tmp_path: Path) -> None:
    chosen = suite(tmp_path)

    async def run(harness: Harness, store: RunStore) -> None:
        with anyio.CancelScope() as scope:

            def stop(cell: Cell, row: Row) -> None:
                if store.count() >= 6:
                    scope.cancel()

            harness.on_row = stop
            await harness.run(store)
        assert scope.cancelled_caught

    with RunStore(tmp_path / "run.sqlite") as store:
        harness = Harness(chosen, tmp_path / "calls.sqlite", executor=RayExecutor(2))
        store.plan(harness.cells)
        anyio.run(run, harness, store)
        assert 6 <= store.count() < 2 * PROBLEMS
    rows, _, _ = solved(tmp_path, chosen, RayExecutor(2))
    assert [row.status for row in rows] == ["ok"] * (2 * PROBLEMS)


def test_the_command_gives_the_same_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    told = []
    for executor in ("local", "ray"):
        with pytest.raises(SystemExit) as exit_:
            out = str(tmp_path / executor)
            main(["bench", str(path), "--out", out, "--executor", executor, "--json"])
        assert not exit_.value.code
        rows = json.loads(capsys.readouterr().out)
        told.append([(row["accuracy"], row["total_tokens"], row["n"]) for row in rows])
    assert told[0] == told[1]
