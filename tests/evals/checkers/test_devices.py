"""Devices and pipes with a name, which take what is written on read-only mounts, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evals.checkers.shut import told_without

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="walls of Linux")
WRITES = [
    "os.write(os.open({pipe!r}, os.O_WRONLY | os.O_NONBLOCK), b'out')",
    "os.write(os.open({pipe!r}, os.O_RDWR | os.O_NONBLOCK), b'out')",
    "open({pipe!r}, 'a').write('out')",
    "os.write(os.open('/dev/zero', os.O_WRONLY), b'out')",
    "open('/dev/full', 'r+b', buffering=0)",
]
MAKES = ["os.mkfifo({pipe!r} + '2')", "os.mkfifo('own')", "os.mknod('own')"]
READS = ["open('/dev/urandom', 'rb').read(1)", "os.open('/dev/zero', os.O_RDONLY)"]
FREE = "os.open(os.devnull, os.O_RDONLY)"


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe with a name, and the end at which somebody reads."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def refused_without(missing: str, act: str, path: Path, folder: Path) -> bool:
    """Whether an act is refused; passes the test over where the other walls do not stand."""
    act = act.format(pipe=str(path))
    folder.mkdir()
    tried = f"import os\ntry: {act}\nexcept OSError: pass\nelse: raise SystemExit"
    told = told_without(missing, tried, folder)
    wanted = {"read_only", "seccomp", "hook"} - {*missing.replace("_", "", 1).split(" _")}
    if not wanted <= {*told["walls"]}:
        pytest.skip(f"this system has only {', '.join(told['walls'])}")
    assert "landlock" not in told["walls"]
    return bool(told["told"] == "T")


@pytest.mark.parametrize("missing", ["_landlock", "_landlock _seccomp", "_landlock _read_only"])
@pytest.mark.parametrize("act", WRITES)
def test_nothing_is_written_through_them_without_landlock(
    missing: str, act: str, pipe: tuple[Path, int], tmp_path: Path
) -> None:
    path, reader = pipe
    assert refused_without(missing, act, path, tmp_path / "own")
    assert os.read(reader, 9) == b""


@pytest.mark.parametrize("act", [*READS, *MAKES])
def test_devices_are_not_read_and_pipes_not_made_without_landlock(
    act: str, pipe: tuple[Path, int], tmp_path: Path
) -> None:
    assert refused_without("_landlock", act, pipe[0], tmp_path / "own")
    assert {each.name for each in tmp_path.rglob("*")} == {"own", "pipe"}


def test_the_empty_device_stays_open(pipe: tuple[Path, int], tmp_path: Path) -> None:
    assert not refused_without("_landlock", FREE, pipe[0], tmp_path / "own")


@pytest.mark.parametrize("act", [*WRITES, *READS, *MAKES, FREE])
def test_without_walls_each_of_these_acts_works(
    act: str, pipe: tuple[Path, int], tmp_path: Path
) -> None:
    """The control: what is refused above could be done here."""
    path, reader = pipe
    program = f"import os\n{act.format(pipe=str(path))}"
    subprocess.run([sys.executable, "-ISBc", program], cwd=tmp_path, check=True)
    assert (os.read(reader, 9) == b"out") is (".write(" in act and "{pipe!r}" in act)
