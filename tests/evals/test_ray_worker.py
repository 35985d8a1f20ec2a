"""What a worker's process does and says, without Ray around it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.evals.sums import Sums, backend, suite
from tts import ConfigError
from tts.backends import Given, Meter
from tts.errors import AuthenticationError, BackendUnavailable, TTSError
from tts.evals.executor import Job
from tts.evals.keeping import open_calls
from tts.evals.ray_worker import RayWorker, WorkerFailed
from tts.evals.suite import Lineup, Suite
from tts.evals.tries import Spent
from tts.messages import Request
from tts.testing import ScriptedBackend


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "node"))


def jobs(chosen: Suite) -> list[Job]:
    cells = tuple(entry.cell.key for entry in chosen.entries())
    return [Job(example, cells) for example in Sums(problems=3).examples()]


def told(error: Exception) -> Any:
    """What a worker answers that raises an error when it opens."""

    @contextmanager
    def leave() -> Iterator[None]:
        raise error
        yield

    return RayWorker().open(suite(backend()), Path("calls.sqlite"), (leave,))


class Local(TTSError):
    """One that no pickle brings back: it is told without what it holds."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.held = lambda: None


class LocalMistake(Local, ConfigError):
    """Likewise, and the user's to mend."""


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailable("the server is down", status=503),
        AuthenticationError("no key"),
        ConfigError("no such model", path="s.yaml", line=3),
    ],
)
def test_our_errors_come_back_as_they_are(error: TTSError) -> None:
    again = told(error)
    assert (type(again), str(again)) == (type(error), str(error))
    assert "Traceback" in again.__notes__[0]


def test_an_error_that_cannot_be_sent_keeps_its_line_and_whose_it_is() -> None:
    assert (type(told(Local("late"))), str(told(Local("late")))) == (WorkerFailed, "late")
    assert type(told(LocalMistake("no"))) is ConfigError
    assert str(told(LocalMistake("no"))) == "no"


def test_any_other_error_is_one_line_with_the_traceback_in_a_note() -> None:
    again = told(ValueError("a\nb" + 400 * "c"))
    assert type(again) is WorkerFailed
    line = str(again)
    assert line.startswith(r"internal error in a Ray worker: ValueError('a\nbccc")
    assert line.endswith("ccc...; --debug shows where")
    assert "\n" not in line
    assert "Traceback" in again.__notes__[0]
    assert "leave()" in again.__notes__[0]


def test_an_error_that_ends_a_job_comes_back(tmp_path: Path) -> None:
    def refuse(request: Request) -> str:
        raise AuthenticationError("the key is wrong")

    chosen, worker = suite(backend(refuse)), RayWorker()
    assert worker.open(chosen, tmp_path / "calls.sqlite", ()) is None
    found = worker.solve(jobs(chosen)[0])
    assert (type(found), str(found)) == (AuthenticationError, "the key is wrong")
    unknown = worker.solve(Job(jobs(chosen)[0].example, ("no such cell",)))
    assert isinstance(unknown, WorkerFailed)
    assert "KeyError('no such cell')" in str(unknown)
    assert worker.close() == ([], Spent())


@pytest.mark.parametrize("is_far", [True, False])
def test_only_where_the_file_is_not_it_has_a_folder_that_goes(tmp_path: Path, is_far: bool) -> None:
    chosen, worker = suite(backend()), RayWorker()
    assert worker.open(chosen, tmp_path / "calls.sqlite", (), is_far=is_far) is None
    told = worker.solve(jobs(chosen)[0])
    assert isinstance(told, tuple)
    rows, paid = told
    assert [row.status for row in rows] == ["ok"] * 3
    # Calls that cells share are paid once; where the driver's file is at hand, it says so itself.
    own = sum(row.usage.total_tokens - row.replayed_tokens for row in rows)
    assert paid.total_tokens == own * is_far
    kept = [path.name for path in (tmp_path / "node").rglob("calls.sqlite")]
    assert kept == (["calls.sqlite"] if is_far else [])
    assert (tmp_path / "calls.sqlite").exists() is not is_far
    assert worker.close() == ([], Spent())
    assert list((tmp_path / "node").iterdir()) == []
    if not is_far:
        with open_calls(tmp_path / "calls.sqlite") as calls:
            assert calls.bill.total().total_tokens == own
    assert worker.close() == ([], Spent())  # again: there is nothing left to close


@pytest.mark.parametrize("is_far", [True, False])
def test_a_look_is_paid_for_though_the_worker_cannot_open(tmp_path: Path, is_far: bool) -> None:
    class Looked(Given, name="looked"):
        def take_bill(self) -> Meter | None:
            return Meter(prompt_tokens=9, completion_tokens=5, started=True, attempts=1)

    model = Looked(backend=ScriptedBackend(lambda request: "1", price=None))
    unpriced = suite(backend(), models={"m": Lineup(models={"m": model})}, equal=("usd",))
    worker = RayWorker()
    refused = worker.open(unpriced, tmp_path / "calls.sqlite", (), is_far=is_far)
    assert isinstance(refused, ConfigError)
    look = Spent(calls=1, prompt_tokens=9, completion_tokens=5, cost_usd=None)
    assert worker.close() == ([], look if is_far else Spent())
    assert worker.close() == ([], Spent())
    if not is_far:
        with open_calls(tmp_path / "calls.sqlite") as calls:
            assert calls.bill.total() == look


def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    asked = Event()

    def hour(request: Request) -> float:
        asked.set()
        return 3600.0

    chosen, worker = suite(backend(latency=hour)), RayWorker()
    assert worker.open(chosen, tmp_path / "calls.sqlite", (), is_far=True) is None
    found: list[Any] = []
    solving = Thread(target=lambda: found.append(worker.solve(jobs(chosen)[0])))
    solving.start()
    assert asked.wait(60)
    told = worker.close()
    assert isinstance(told, tuple)
    assert told[0] == []
    assert 1 <= told[1].calls <= 8  # what was cancelled is paid for too
    solving.join(60)
    assert isinstance(found[0], WorkerFailed)
    assert list((tmp_path / "node").iterdir()) == []


def test_a_worker_that_is_closed_begins_nothing_more(tmp_path: Path) -> None:
    chosen, worker = suite(backend()), RayWorker()
    assert worker.open(chosen, tmp_path / "calls.sqlite", ()) is None
    opened, portal = worker._worker, worker._portal
    assert opened is not None
    assert portal is not None
    portal.call(worker._end_solving)
    late = worker.solve(jobs(chosen)[0])
    assert isinstance(late, WorkerFailed)
    assert "was closed" in str(late)
    assert worker.close() == ([], Spent())


def test_a_worker_that_opened_nothing_closes() -> None:
    assert RayWorker().close() == ([], Spent())
