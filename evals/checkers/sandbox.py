"""Runs a program that a model wrote, shut in as far as the system allows. Run as a script.

What it is told comes by standard input, as JSON: `before`, `program`, `test`, `token`, limits,
rules and who has started it. It answers on standard output with one line of JSON: which walls
stand, what the program's process told (the token if program and test ran to their end), and how it
ended. The process that answers is not the program's. Only the standard library is at hand here.
"""

from __future__ import annotations

import _posixsubprocess
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from traceback import walk_tb
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

__all__ = ["main", "shut_in"]

_MOST_TOLD, _LONGEST = 4096, 64  # what is read of the program's process, what told of it
_FOLDER_BYTES: Final = 16 << 20
_NAMESPACES: Final = 0x10000000 | 0x40000000 | 0x20000000 | 0x08000000  # user, net, pid, ipc
_MOUNTS: Final = 0x00020000
_NOBODY: Final = 65534
_READ_ONLY, _NO_DEVICES = 1, 4  # attributes of mounts
_SYS_MOUNT_SETATTR: Final = 442  # these numbers are the same on every architecture
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTING: Final = 1
_READING: Final = 0b1100  # read a file, list a folder
_WRITING: Final = 0b1_1111_1111_0010  # of Landlock's first version: write, remove, make
_ENDS: Final = (type(None), int, bool)  # of a `SystemExit` without an error: None, 0 and False
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_CHANGES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Read the order, build the walls, run the program, and answer."""
    system = ctypes.CDLL(None, use_errno=True)
    _end_with_parent(system)
    order = json.load(sys.stdin)
    if os.getppid() != order["parent"]:  # which ended before
        os._exit(1)
    answer = os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    walls = ["namespaces"] if _stands(lambda: _namespaces(system)) else []
    reading, writing = os.pipe()
    program = os.fork()
    if program:
        os.close(writing)
        _answer(answer, reading, program)
    _end_with_parent(system)
    os.close(answer)
    os.close(reading)
    os.set_blocking(writing, False)  # a flood is refused, not waited for
    walls += shut_in(system, order)
    os.write(writing, json.dumps(walls).encode() + b"\n")
    passes = _passes(order["before"], order["program"], order["test"])
    os.write(writing, (order["token"] if passes else "wrong").encode() + b"\n")
    os._exit(0)


def _answer(answer: int, reading: int, program: int) -> NoReturn:
    """Wait for the program and tell what became of it."""
    _, status, used = os.wait4(program, 0)
    walls, _, told = os.read(reading, _MOST_TOLD).decode(errors="replace").partition("\n")
    line = {
        "walls": json.loads(walls or "[]"),
        "told": told.strip()[:_LONGEST],
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }
    os.write(answer, json.dumps(line).encode() + b"\n")
    os._exit(0)


def _passes(before: str, program: str, test: str) -> bool:
    module = ModuleType("program")  # not __main__: a program's own main block is not its test
    sys.modules["program"] = sys.modules["__main__"] = module
    sys.argv = ["program"]
    try:
        for code in _compiled(before, program):
            exec(code, module.__dict__)
        module.__dict__["__name__"] = "__main__"
        exec(compile(test, "<test>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:  # whatever the program ends early is not a pass
        return _is_end_of_test(error)
    return True


def _is_end_of_test(error: BaseException) -> bool:
    """Whether a test has ended itself well, as `unittest.main()` does, and no program did it."""
    if type(error) is not SystemExit or type(error.code) not in _ENDS or error.code:
        return False
    places = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)][1:]
    return "<test>" in places and all(
        place == "<test>" or place.startswith(_LIBRARY) for place in places
    )


def _compiled(before: str, program: str) -> list[CodeType]:
    """Return the program's code: one piece, or two where only apart they can be read."""
    try:
        return [compile(f"{before}\n{program}", "<program>", "exec", dont_inherit=True)]
    except SyntaxError:  # such as an import from __future__ that is no longer first
        parts = (before, program)
        return [compile(part, "<program>", "exec", dont_inherit=True) for part in parts]


def shut_in(system: Any, order: dict[str, Any]) -> list[str]:
    """Build all walls that the system has; they hold for this process and cannot be taken down.

    Args:
        system: The C library.
        order: `cpu_seconds`, after which the process is killed; `memory_bytes`, the most address
            space; `rules` for a process with a folder of its own and for one without.

    Returns:
        Names of those that stand: `read_only` (no file system can be changed but a small one in
        memory, made for the program), `landlock` (nothing else can be changed, only Python itself
        read, nothing executed), `limits`, `seccomp` (system calls that reach others fail), `hook`
        (Python itself refuses them).
    """
    walls: list[str] = []

    def build(name: str, wall: Callable[[], bool]) -> bool:
        stands = _stands(wall)
        walls.extend([name] if stands else [])
        return stands

    own = build("read_only", lambda: _read_only(system))
    _stands(lambda: _without_privileges(system))
    # Pipes with a name take what is written on read-only mounts, too: a folder needs both walls.
    own = build("landlock", lambda: _landlock(system, own_folder=own)) and own
    rules = order["rules"]["own_folder" if own else "no_folder"]
    written = _FOLDER_BYTES if own else 0
    build("limits", lambda: _limits(order["cpu_seconds"], order["memory_bytes"], written))
    refused = tuple(rules["events"])
    if not build("seccomp", lambda: _seccomp(system, rules["filter"])):
        _stands(_no_processes)
        refused += tuple(rules["events_without_filter"])
    build("hook", lambda: _hook(refused, own_folder=own))
    return walls


def _stands(build: Callable[[], bool]) -> bool:
    try:
        return build()
    except (OSError, AttributeError, ValueError):
        return False


def _end_with_parent(system: Any) -> None:
    _stands(lambda: bool(system.prctl(1, signal.SIGKILL) == 0))  # PR_SET_PDEATHSIG


def _namespaces(system: Any) -> bool:
    """Leave the network; what is forked from here on ends with this process.

    It goes on as the first process of its own namespace, with one outside that waits for it.
    """
    user, group = os.geteuid(), os.getegid()
    if system.unshare(_NAMESPACES) != 0:
        return False
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    _end_with_parent(system)
    for name, line in {
        "setgroups": "deny",
        "uid_map": f"{_NOBODY} {user} 1",
        "gid_map": f"{_NOBODY} {group} 1",
    }.items():
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    return True


def _read_only(system: Any) -> bool:
    """Make all that is mounted read-only, and put a small file system in memory where we are.

    Devices take what is written on read-only mounts, too, so none but `/dev/null` can be opened.
    """
    folder = os.getcwd()
    if system.unshare(_MOUNTS) != 0:
        return False
    if system.mount(None, b"/", None, 0x44000, None) != 0:  # MS_REC | MS_PRIVATE: ours alone
        return False
    null = os.devnull.encode()
    system.mount(null, null, None, 0x1000, None)  # MS_BIND: a mount of its own
    changes = [(b"/", 0x8000, _READ_ONLY | _NO_DEVICES, 0), (null, 0, 0, _NO_DEVICES)]
    for place, below, set_, cleared in changes:  # 0x8000: AT_RECURSIVE
        change = struct.pack("QQQQ", set_, cleared, 0, 0)
        if system.syscall(_SYS_MOUNT_SETATTR, -1, place, below, change, len(change)) != 0:
            return False
    kind, flags = b"tmpfs", 2 | 4 | 8  # no set-user-id, devices or programs
    options = f"size={_FOLDER_BYTES},nr_inodes=1024,mode=700".encode()
    if system.mount(kind, folder.encode(), kind, flags, options) != 0:
        return False
    os.chdir(folder)
    os.environ["TMPDIR"] = folder
    return True


def _without_privileges(system: Any) -> bool:
    """Give up what root may do, and never get it back."""
    system.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return bool(system.capset(struct.pack("Ii", 0x20080522, 0), bytes(24)) == 0)


def _landlock(system: Any, *, own_folder: bool) -> bool:
    """Allow reading below Python's own folders; all else in the file system is closed."""
    version = system.syscall(_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else 0
    if version < 1:
        return False
    files = _EXECUTING | _READING | _WRITING
    files |= (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
    attributes = struct.pack("QQQ", files, 0b11, 0b11)  # no TCP; no signals and sockets outside
    size = 8 * (1 + (version >= 4) + (version >= 6))
    ruleset = system.syscall(_CREATE_RULESET, attributes, size, 0)
    if ruleset < 0:
        return False
    allowed = dict.fromkeys((sys.base_prefix, sys.prefix, "/usr", "/lib", "/lib64"), _READING)
    allowed["/dev/null"] = 0b110
    if own_folder:
        allowed[os.getcwd()] = files & ~_EXECUTING
    for folder, rights in allowed.items():
        if os.path.exists(folder):
            place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            system.syscall(_ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, place), 0)
            os.close(place)
    done = system.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return bool(done == 0)


def _limits(cpu_seconds: int, memory_bytes: int, written_bytes: int) -> bool:
    for kind, most in {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: written_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }.items():
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At the soft limit of time comes a signal that tells what it is, then one that kills.
        last = allowed + 1 if kind == resource.RLIMIT_CPU and allowed != hard else allowed
        resource.setrlimit(kind, (allowed, last))
    return True


def _no_processes() -> bool:
    """Refuse them by a limit, which binds all but root, and on Linux refuses threads, too."""
    vars(_posixsubprocess)["fork_exec"] = None  # it tells no hook
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return True


def _seccomp(system: Any, filter_: str | None) -> bool:
    if filter_ is None:
        return False
    instructions = bytes.fromhex(filter_)
    kept = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HxxxxxxP", len(instructions) // 8, ctypes.addressof(kept))
    return bool(system.prctl(22, 2, program, 0, 0) == 0)  # PR_SET_SECCOMP


def _hook(refused: tuple[str, ...], *, own_folder: bool) -> bool:
    """Python itself refuses; unlike a patched module, this cannot be undone from Python."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and flags & _CHANGES
            if changes and not own_folder and path != os.devnull:
                raise PermissionError("a program under test may not write")
        elif event == "socket.__new__" and arguments[1] == 1:  # AF_UNIX: pairs, as asyncio needs
            return
        elif event.startswith(refused):
            raise PermissionError(f"a program under test may not use {event}")

    sys.addaudithook(refuse)
    return True


if __name__ == "__main__":
    main()
