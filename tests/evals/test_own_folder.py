from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tts.evals.own_folder import own_folder

HOLD = """
from tts.evals.own_folder import own_folder
with own_folder() as folder:
    (folder / "calls").touch()
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@contextmanager
def other_process(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that has a folder of its own, until its input ends."""
    given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    where = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen([sys.executable, "-c", HOLD], env=where, **given) as process:  # type: ignore[call-overload]  # as dictionary
        yield Path(process.stdout.readline().strip()), process


def test_it_is_there_and_gone_afterwards(tmp_path: Path) -> None:
    with own_folder() as folder:
        assert folder.parent == tmp_path
        (folder / "calls").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_live_one_has_stays(tmp_path: Path) -> None:
    with other_process(tmp_path) as (dead, killed), other_process(tmp_path) as (alive, _):
        killed.send_signal(signal.SIGKILL)
        killed.wait(60)
        assert (dead / "calls").exists()
        with own_folder() as mine:
            assert sorted(tmp_path.iterdir()) == sorted([alive, mine])
            assert (alive / "calls").exists()
    assert list(tmp_path.iterdir()) == []


def test_two_in_one_process_leave_each_other_alone() -> None:
    with own_folder() as one, own_folder() as two:
        assert one != two
        assert one.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with own_folder() as folder:
        name = f"{folder.name.rpartition('-')[0]}-link"
    (tmp_path / name).symlink_to(tmp_path / "kept")
    with own_folder():
        assert (tmp_path / "kept").exists()
