"""Runs a program that a model wrote, shut in as far as the system allows. Run as a script.

What it is told comes by standard input, as JSON: `program`, `test`, `token` and limits. It answers
on standard output with a line that says which walls stand, and a line with the token if program
and test ran to their end. Only the standard library is at hand here.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["main", "shut_in"]

_NAMESPACES: Final = 0x10000000 | 0x40000000 | 0x20000000 | 0x08000000  # user, net, pid, ipc
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_WRITING: Final = 0b1_1111_1111_0010  # of Landlock's first version: write, remove, make
_READING: Final = 0b1101  # execute, read a file, list a folder
_REFUSED: Final = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "shutil.",
    "os.chmod",
    "os.chown",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.startfile",
    "os.symlink",
    "os.system",
    "os.truncate",
    "os.utime",
    "signal.pthread_kill",
    "syslog.",
    "winreg.",
)
_CHANGES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Read the order, build the walls, run the program, and answer."""
    order = json.load(sys.stdin)
    answer = os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    walls = shut_in(order["cpu_seconds"], order["memory_bytes"])
    os.write(answer, json.dumps({"walls": walls}).encode() + b"\n")
    if _passes(order["program"], order["test"]):
        os.write(answer, json.dumps({"passed": order["token"]}).encode() + b"\n")
    os._exit(0)


def _passes(program: str, test: str) -> bool:
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(program, "<program>", "exec"), names)
        exec(compile(test, "<test>", "exec"), names)
    except BaseException:  # SystemExit too: whatever ends it early is not a pass
        return False
    return True


def shut_in(cpu_seconds: int, memory_bytes: int) -> list[str]:
    """Build all walls that the system has; they hold for this process and cannot be taken down.

    Args:
        cpu_seconds: After which the process is killed.
        memory_bytes: Most address space.

    Returns:
        Names of those that stand: `namespaces` (no network, processes of its own), `landlock`
        (nothing can be written, only Python itself read), `limits`, `hook` (Python refuses to open
        sockets, start processes, change files).
    """
    system = ctypes.CDLL(None, use_errno=True)
    walls = {
        "namespaces": lambda: _namespaces(system),
        "landlock": lambda: _landlock(system),
        "limits": lambda: _limits(cpu_seconds, memory_bytes),
        "hook": _hook,
    }
    return [name for name, build in walls.items() if _stands(build)]


def _stands(build: Callable[[], bool]) -> bool:
    try:
        return build()
    except (OSError, AttributeError, ValueError):
        return False


def _namespaces(system: Any) -> bool:
    """Leave the network; the program gets a process namespace, which ends with its parent.

    It is the second process there: the first is immune to the signals of its limits.
    """
    if system.unshare(_NAMESPACES) != 0:
        return False
    for _ in range(2):
        child = os.fork()
        if child:
            _follow(child)
        system.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    return True


def _follow(child: int) -> None:
    """Wait for a process and end as it did."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _landlock(system: Any) -> bool:
    """Allow reading below Python's own folders; all else in the file system is closed."""
    handled = _READING | _WRITING
    ruleset = system.syscall(_CREATE_RULESET, struct.pack("Q", handled), 8, 0)
    if ruleset < 0:
        return False
    for folder in {sys.base_prefix, sys.prefix, "/usr", "/lib", "/lib64", "/dev/null"}:
        if os.path.exists(folder):
            rights = _READING if os.path.isdir(folder) else 0b110
            place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("<Qi", rights, place)
            system.syscall(_ADD_RULE, ruleset, 1, rule, 0)
            os.close(place)
    system.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return bool(system.syscall(_RESTRICT_SELF, ruleset, 0) == 0)


def _limits(cpu_seconds: int, memory_bytes: int) -> bool:
    for kind, most in {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 0,
    }.items():
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    return True


def _hook() -> bool:
    """Python itself refuses; unlike a patched module, this cannot be undone from Python."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & _CHANGES:
                raise PermissionError("a program under test may not write")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"a program under test may not use {event}")

    sys.addaudithook(refuse)
    return True


if __name__ == "__main__":
    main()
