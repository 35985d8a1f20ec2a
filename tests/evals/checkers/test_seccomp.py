"""The filter of system calls: as a program for the kernel, and where the kernel runs it alone."""

from __future__ import annotations

import errno
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.evals.checkers import sandbox
from tts.evals.checkers.seccomp import seccomp_filter

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
REFUSED, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
PRETENDED = 0x50000  # an error that is none: no call, and the answer 0
NAMES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS = {  # numbers on x86-64 and aarch64
    "read": (0, 63),
    "mmap": (9, 222),
    "futex": (202, 98),
    "getrandom": (318, 278),
    "execve": (59, 221),
    "truncate": (76, 45),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchownat": (260, 54),
    "utimensat": (280, 88),
    "clone": (56, 220),
    "openat": (257, 56),
    "unlinkat": (263, 35),
    "sendto": (44, 206),
    "socketpair": (53, 199),
    "prlimit64": (302, 261),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prctl": (157, 167),
    "memfd_create": (319, 279),
    "inotify_add_watch": (254, 27),
}
VERDICTS = [
    ("read", (), ALLOWED),
    ("mmap", (), ALLOWED),
    ("futex", (), ALLOWED),
    ("getrandom", (), ALLOWED),
    ("execve", (), REFUSED),
    ("truncate", (), REFUSED),
    ("fchownat", (), REFUSED),
    ("clone", (0x3D0F00,), ALLOWED),  # a thread
    ("clone", (17,), REFUSED),  # a process
    ("sendto", (0, 0, 0, 0, 0), ALLOWED),
    ("sendto", (0, 0, 0, 0, 1), REFUSED),
    ("sendto", (0, 0, 0, 0, 1 << 40), REFUSED),
    ("socketpair", (1,), ALLOWED),
    ("socketpair", (2,), REFUSED),
    ("prlimit64", (0,), ALLOWED),
    ("prlimit64", (1,), REFUSED),
    ("ioctl", (3, 0x5401), ALLOWED),
    ("ioctl", (3, 0x40086602), REFUSED),  # FS_IOC_SETFLAGS
    ("fcntl", (3, 2), ALLOWED),
    ("fcntl", (3, 8), REFUSED),
    ("prctl", (15,), ALLOWED),
    ("prctl", (1,), REFUSED),
    ("memfd_create", (), REFUSED),  # memory beside the limit
    ("inotify_add_watch", (), REFUSED),
]


def verdict(program: bytes, machine: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel makes of a call: an interpreter of the five instructions."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    call = struct.pack("<IIQ6Q", number, machine, 0, *padded)
    place, loaded = 0, 0
    while True:
        code, then, otherwise, value = struct.unpack_from("<HBBI", program, 8 * place)
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", call, value)
            place += 1
            continue
        met = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
        place += 1 + (then if met else otherwise)


@pytest.mark.parametrize("own_folder", [True, False])
@pytest.mark.parametrize("machine", NAMES)
@pytest.mark.parametrize(("call", "arguments", "expected"), VERDICTS)
def test_verdicts(
    machine: str, own_folder: bool, call: str, arguments: tuple[int, ...], expected: int
) -> None:
    program = seccomp_filter(machine, own_folder=own_folder)
    assert program is not None
    number = CALLS[call][list(NAMES).index(machine)]
    assert verdict(program, NAMES[machine], number, arguments) == expected


@pytest.mark.parametrize("machine", NAMES)
@pytest.mark.parametrize(("call", "arguments"), [("openat", (0, 0, 0o1101)), ("unlinkat", ())])
def test_without_a_folder_nothing_is_opened_for_writing(
    machine: str, call: str, arguments: tuple[int, ...]
) -> None:
    number = CALLS[call][list(NAMES).index(machine)]
    for own_folder, expected in ((True, ALLOWED), (False, REFUSED)):
        program = seccomp_filter(machine, own_folder=own_folder)
        assert program is not None
        assert verdict(program, NAMES[machine], number, arguments) == expected
        reading = verdict(program, NAMES[machine], CALLS["openat"][list(NAMES).index(machine)])
        assert reading == ALLOWED


@pytest.mark.parametrize("machine", NAMES)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("fchmod", (3, 0o777), PRETENDED),
        ("fchmodat", (0, 1, 0o777), PRETENDED),
        ("utimensat", (0, 1, 1, 0), PRETENDED),
        ("utimensat", (0, 1, 1 << 40, 0), PRETENDED),
        ("utimensat", (0, 1, 0, 0), REFUSED),  # to the present time, as `touch` does
    ],
)
def test_modes_and_times_are_pretended_with_a_folder_only(
    machine: str, call: str, arguments: tuple[int, ...], expected: int
) -> None:
    number = CALLS[call][list(NAMES).index(machine)]
    for own_folder, verdict_there in ((True, expected), (False, REFUSED)):
        program = seccomp_filter(machine, own_folder=own_folder)
        assert program is not None
        assert verdict(program, NAMES[machine], number, arguments) == verdict_there


@given(
    number=st.integers(0, 2**32 - 1),
    machine=st.integers(0, 2**32 - 1),
    arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6),
)
def test_every_call_has_a_verdict(number: int, machine: int, arguments: tuple[int, ...]) -> None:
    for name, ours in NAMES.items():
        program = seccomp_filter(name, own_folder=False)
        assert program is not None
        assert len(program) // 8 < 4096  # the kernel's most
        assert verdict(program, ours, number, arguments) in {ALLOWED, REFUSED, UNKNOWN}
        within = seccomp_filter(name, own_folder=True)
        assert within is not None
        may = {ALLOWED, REFUSED, UNKNOWN, PRETENDED}
        assert verdict(within, ours, number, arguments) in may
        if number >= 424:
            assert verdict(program, ours, number, arguments) == UNKNOWN
        if machine != ours:
            assert verdict(program, machine, number, arguments) == KILLED


def test_there_is_none_for_other_machines() -> None:
    assert seccomp_filter("riscv64", own_folder=True) is None


ALONE = """
import ctypes, os, signal, socket, sys, threading
sys.path.insert(0, {folder!r})
from sandbox import _seccomp
library = ctypes.CDLL(None, use_errno=True)
library.prctl(38, 1, 0, 0, 0)
assert _seccomp(library, {filter!r})
me = os.getpid()
acts = dict(
    truncate=lambda: os.truncate({victim!r}, 0),
    chmod=lambda: os.chmod({victim!r}, 0o777),
    chown=lambda: os.chown({victim!r}, os.getuid(), os.getgid()),
    utime=lambda: os.utime({victim!r}, (1, 1)),
    setxattr=lambda: os.setxattr({victim!r}, "user.x", b"1"),
    write=lambda: open({victim!r}, "w"),
    append=lambda: open({victim!r}, "a"),
    remove=lambda: os.remove({victim!r}),
    rename=lambda: os.rename({victim!r}, {victim!r} + "2"),
    link=lambda: os.link({victim!r}, {victim!r} + "2"),
    symlink=lambda: os.symlink("/", {victim!r} + "2"),
    mkdir=lambda: os.mkdir({victim!r} + "2"),
    mkfifo=lambda: os.mkfifo({victim!r} + "2"),
    fork=os.fork,
    spawn=lambda: os.posix_spawn(sys.executable, ["python", "-c", ""], {{}}),
    exec=lambda: os.execv(sys.executable, ["python", "-c", ""]),
    kill=lambda: os.kill(os.getppid(), 0),
    kill_thread=lambda: signal.pthread_kill(threading.get_ident(), 0) or os.kill(me, 0),
    socket=lambda: socket.socket(),
    unix=lambda: socket.socket(socket.AF_UNIX),
)
for name, act in acts.items():
    try:
        act()
    except PermissionError:
        print(name)
thread = threading.Thread(target=print, args=["thread"])
thread.start()
thread.join()
one, other = socket.socketpair()
one.send(b"pair")
print(other.recv(9).decode(), open({victim!r}).read())
print(library.umount2({victim!r}.encode(), 0), ctypes.get_errno())
"""


def test_kernel_refuses_by_this_wall_alone(tmp_path: Path) -> None:
    program = seccomp_filter(platform.machine(), own_folder=False)
    if sys.platform != "linux" or program is None:
        pytest.skip("seccomp filters are made for Linux on x86-64 and aarch64")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    before = victim.stat()
    folder = str(Path(sandbox.__file__).parent)
    text = ALONE.format(folder=folder, filter=program.hex(), victim=str(victim))
    command = [sys.executable, "-ISBc", text]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *refused, thread, pair, mount = done.stdout.splitlines()
    assert refused == [
        *("truncate", "chmod", "chown", "utime", "setxattr", "write", "append", "remove"),
        *("rename", "link", "symlink", "mkdir", "mkfifo", "fork", "spawn", "exec", "kill"),
        *("kill_thread", "socket", "unix"),
    ]
    assert (thread, pair, mount) == ("thread", "pair precious", f"-1 {errno.EPERM}")
    assert victim.stat().st_mtime_ns == before.st_mtime_ns
