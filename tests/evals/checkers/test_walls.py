"""What a program may not do to anybody else, by Python or around it."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.evals.checkers.shut import order_of, told_without
from tts import Problem
from tts.evals.checkers import CheckFailed, sandbox
from tts.evals.checkers import code as code_module
from tts.evals.checkers.code import Code, allow_code_execution
from tts.evals.tasks import Example

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Posix only"),
]
HARMS = [
    "os.truncate({file!r}, 0)",
    "os.chmod({file!r}, 0o777)",
    "os.chown({file!r}, -1, 12345)",
    "os.utime({file!r}, (1, 1))",
    "os.setxattr({file!r}, 'user.x', b'1')",
    "open({file!r}, 'w')",
    "os.remove({file!r})",
    "os.rename({file!r}, {file!r} + '2')",
    "open({file!r} + '2', 'w')",
    "os.symlink('/', {file!r} + '2')",
    "os.link({file!r}, {file!r} + '2')",
    "os.mkdir({file!r} + '2')",
    "os.mkfifo({file!r} + '2')",
    "os.kill({pid}, 10)",
]
PRETENDED = ("os.chmod", "os.utime")
"""Where all walls stand these look as if they had been done."""
RIGHT = "def f(x): return x * x\n"
PROCESS = """
import os, sys
from multiprocessing.util import spawnv_passfds
def run(python, code):
    return os.waitpid(spawnv_passfds(python.encode(), [b"python", b"-ISc", code.encode()], []), 0)
"""


@pytest.fixture
def code() -> Iterator[Code]:
    with allow_code_execution():
        yield Code(cpu_seconds=2, seconds=60)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user's."""
    file = tmp_path / "victim"
    file.write_text("precious")
    file.chmod(0o600)
    return file


def state_of(victim: Path) -> list[object]:
    """All that could be harmed."""
    stat = victim.stat()
    of_file = [stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, stat.st_nlink]
    attributes = os.listxattr(victim) if sys.platform == "linux" else []
    beside = [each.name for each in victim.parent.iterdir()]
    return [victim.read_text(), attributes, beside, *of_file]


async def passes(code: Code, program: str) -> bool:
    example = Example(id="1", problem=Problem(text="?"), answer="assert f(2) == 4")
    return await code.check(program, program, example)


async def walls_of(code: Code, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    walls: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(code_module, "_tell", walls.extend)
        assert await passes(code, RIGHT)
    return walls


async def need(code: Code, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pass over a test where none of these walls stands, and say so."""
    walls = await walls_of(code, monkeypatch)
    if not set(names) & set(walls):
        pytest.skip(f"this system has no wall {' or '.join(names)}, only {', '.join(walls)}")


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("around", [False, True], ids=["by Python", "by another process"])
async def test_nothing_of_the_users_is_harmed(
    code: Code, victim: Path, harm: str, around: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await need(code, monkeypatch, "read_only", "landlock", "seccomp")
    all_walls = {"read_only", "landlock", "seccomp"} <= {*await walls_of(code, monkeypatch)}
    told = all_walls and not around and harm.startswith(PRETENDED)
    before, signals = state_of(victim), []
    old = signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
    act = "import os\n" + harm.format(file=str(victim), pid=os.getpid())
    if around:
        call = f"run({sys.executable!r}, {act!r})"
        act = f"{PROCESS}\nassert os.waitstatus_to_exitcode({call}[1]) == 0"
    try:
        assert await passes(code, f"{act}\n{RIGHT}") is told
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert state_of(victim) == before
    assert not signals


async def test_no_process_is_started(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    await need(code, monkeypatch, "seccomp")
    assert not await passes(code, f"{PROCESS}\nrun({sys.executable!r}, 'pass')\n{RIGHT}")


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ"])
async def test_no_file_of_the_users_is_read(
    code: Code, victim: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await need(code, monkeypatch, "landlock")
    for each in (str(victim), path):
        assert not await passes(code, f"open({each!r}).read()\n{RIGHT}")


async def test_threads_may_be_started(code: Code) -> None:
    thread = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\n"
    assert await passes(code, thread + RIGHT)


async def test_flood_is_not_collected(code: Code) -> None:
    flood = f"""
import os
for file in range(3, 64):
    try:
        while True: os.write(file, b"x" * (1 << 20))
    except OSError: pass
{RIGHT}"""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not await passes(code, flood)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000 * (1 if sys.platform == "linux" else 1024)


def test_sandbox_of_another_parent_runs_nothing() -> None:
    command = [sys.executable, "-I", "-S", "-B", sandbox.__file__]
    order = order_of("", parent=os.getpid() + 1)
    assert not subprocess.run(command, input=order.encode(), capture_output=True).stdout


@pytest.mark.parametrize("missing", ["", "_landlock", "_seccomp", "_landlock _seccomp"])
def test_each_wall_holds_where_others_are_missing(victim: Path, missing: str) -> None:
    harms = [harm.format(file=str(victim), pid=os.getpid()) for harm in HARMS]
    if missing == "_landlock _seccomp":  # of this one Python tells its hooks nothing
        harms = [harm for harm in harms if "mkfifo" not in harm]
    before = state_of(victim)
    for act in ("exec(harm)", f"run({sys.executable!r}, 'import os; ' + harm)[1] and 1 / 0"):
        tried = f"""{PROCESS}
for harm in {harms!r}:
    try: {act}
    except (OSError, ZeroDivisionError, TypeError): continue
    raise SystemExit"""
        told = told_without(f"_namespaces _read_only {missing}", tried)
        assert told["told"] == "T"
        assert not {"namespaces", "read_only", *missing.replace("_", "").split()} & {*told["walls"]}
        assert state_of(victim) == before


def test_sandbox_ends_with_who_has_started_it() -> None:
    if sys.platform != "linux":
        pytest.skip("only on Linux a process can ask to end with its parent")
    reading, writing = os.pipe()
    starter = f"""
import subprocess, sys, os, json
order = json.loads(sys.argv[1]) | {{"parent": os.getpid()}}
process = subprocess.Popen(
    [sys.executable, "-I", "-S", "-B", {sandbox.__file__!r}],
    stdin=subprocess.PIPE, stdout={writing},
)
process.stdin.write(json.dumps(order).encode())
process.stdin.close()
print(flush=True)
process.wait()
"""
    order = order_of("import time; time.sleep(1000)")
    with subprocess.Popen(
        [sys.executable, "-c", starter, order], stdout=subprocess.PIPE, pass_fds=[writing]
    ) as process:
        os.close(writing)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert select.select([reading], [], [], 30)[0], "the sandbox still holds its end of the pipe"
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_walls_are_the_same_for_root_and_for_nobody() -> None:
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not python.exists():
        pytest.skip("only root can become another user, and it takes a Python that all may run")
    thread = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\n"
    told = []
    for user in (0, 65534):
        with TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            done = subprocess.run(
                [python, "-ISBc", Path(sandbox.__file__).read_text()],
                input=order_of(thread).encode(),
                stdout=subprocess.PIPE,
                cwd=folder,
                env={},
                user=user,
                group=user,
                check=True,
            )
        told.append(json.loads(done.stdout))
    assert [each["told"] for each in told] == ["T", "T"]
    assert told[0]["walls"] == told[1]["walls"]


async def test_program_killed_from_outside_is_not_judged(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"walls": ["hook"], "told": "", "signal": 9, "cpu_seconds": 0.1}

    async def answered(order: bytes, folder: str) -> bytes:
        return json.dumps(answer).encode()

    monkeypatch.setattr(code_module, "_answered", answered)
    with pytest.raises(CheckFailed, match="killed from outside"):
        await passes(code, RIGHT)
    answer["cpu_seconds"] = 2.0
    assert not await passes(code, RIGHT)


@pytest.mark.parametrize("missing", ["landlock", "limits", "seccomp", "namespaces", "read_only"])
def test_each_missing_wall_is_told_once(missing: str, caplog: pytest.LogCaptureFixture) -> None:
    code_module._told.clear()
    walls = [wall for wall in code_module._WALLS if wall != missing]
    code_module._tell(walls)
    code_module._tell(walls)
    (record,) = caplog.records
    assert f"no {missing}, so {code_module._WALLS[missing]}" in record.message
    caplog.clear()
    code_module._tell([*walls, missing])
    assert not caplog.records


LANDLOCK = """
import ctypes, os, sys
sys.path.insert(0, {folder!r})
from sandbox import _landlock, _without_privileges
library = ctypes.CDLL(None, use_errno=True)
_without_privileges(library)
if not _landlock(library, own_folder=False):
    raise SystemExit(9)
version = library.syscall(444, None, 0, 1)
acts = dict(
    exec=lambda: os.execv(sys.executable, ["python", "-c", ""]),
    spawn=lambda: os.posix_spawn("/usr/bin/env", ["env"], {{}}),
    read=lambda: open({victim!r}),
    write=lambda: open({victim!r}, "w"),
    remove=lambda: os.remove({victim!r}),
    truncate=lambda: os.truncate({victim!r}, 0) if version >= 3 else os.remove({victim!r}),
)
for name, act in acts.items():
    try:
        act()
    except PermissionError:
        print(name)
"""


def test_landlock_alone_keeps_from_reading_writing_and_executing(victim: Path) -> None:
    text = LANDLOCK.format(folder=str(Path(sandbox.__file__).parent), victim=str(victim))
    done = subprocess.run([sys.executable, "-ISBc", text], stdout=subprocess.PIPE, text=True)
    if done.returncode == 9:
        pytest.skip("this kernel has no Landlock")
    assert done.stdout.split() == ["exec", "spawn", "read", "write", "remove", "truncate"]
    assert victim.read_text() == "precious"
