"""The system calls that a program under test may not make, as a filter that Linux applies.

Refused calls fail with EPERM, as what a system forbids does; those newer than Linux 5.0 with
ENOSYS, so that the C library takes the older one that the filter knows. A few are not made and
answered as if they had been.

Source: `seccomp(2)` and the kernel's "Seccomp BPF"; numbers from `asm/unistd.h`.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Final, NamedTuple

__all__ = ["seccomp_filter"]

_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column of a table below, and the kernel's name for the machine."""

_REFUSED: Final = """
execve 59 221, execveat 322 281, fork 57 -, vfork 58 -, unshare 272 97, setns 308 268,
kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240,
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272,
migrate_pages 256 238, move_pages 279 239, personality 135 92,
setpriority 141 140, ioprio_set 251 30, sched_setscheduler 144 119, sched_setparam 142 118,
sched_setattr 314 274, sched_setaffinity 203 122,
truncate 76 45, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54, utime 132 -, utimes 235 -,
futimesat 261 -, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14,
lremovexattr 198 15, fremovexattr 199 16,
mknod 133 -, mknodat 259 33, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36,
name_to_handle_at 303 264, open_by_handle_at 304 265, io_setup 206 0, fanotify_init 300 262,
mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, quotactl 179 60, swapon 167 224,
swapoff 168 225, acct 163 89,
socket 41 198, connect 42 203, bind 49 200, listen 50 201, sendmsg 46 211, sendmmsg 307 269,
shmget 29 194, shmat 30 196, shmctl 31 195, semget 64 190, semop 65 193, semctl 66 191,
semtimedop 220 192, msgget 68 186, msgctl 71 187, msgsnd 69 189, msgrcv 70 188, mq_open 240 180,
mq_unlink 241 181, keyctl 250 219, add_key 248 217, request_key 249 218,
bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, init_module 175 105,
finit_module 313 273, delete_module 176 106, kexec_load 246 104, kexec_file_load 320 294,
reboot 169 142, settimeofday 164 170, clock_settime 227 112, adjtimex 159 171,
clock_adjtime 305 266, sethostname 170 161, setdomainname 171 162, syslog 103 116, vhangup 153 58,
iopl 172 -, ioperm 173 -, modify_ldt 154 -, memfd_create 319 279, inotify_add_watch 254 27
"""
"""Name, and number on x86-64 and on aarch64."""

_PRETENDED: Final = "chmod 90 -, fchmod 91 52, fchmodat 268 53"
"""Not made either, but with a folder of its own the program is told that they were: it copies files
there by `shutil.copy`, and nothing depends on a mode."""

_REFUSED_WITHOUT_FOLDER: Final = """
utimensat 280 88, creat 85 -, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35,
rename 82 -, renameat 264 38, renameat2 316 276, ftruncate 77 46, fallocate 285 47
"""

_FIRST_NEW: Final = 424
"""From here on numbers are the same everywhere; processes by `clone3`, files by `io_uring`, signals
by `pidfd_send_signal` and mounts by `fsopen` are among them."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_PRETEND: Final = 0x00050000
"""The kernel makes no such call, and answers 0: done."""


class _Condition(NamedTuple):
    """A call whose verdict depends on an argument."""

    numbers: tuple[int, int | None]
    argument: int
    test: int
    values: tuple[int, ...]
    then: int
    otherwise: int
    is_pointer: bool = False
    """Whether the upper half of the argument counts, too."""


_CHANGES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_QUESTIONS: Final = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""What may be asked of a file by ioctl: is it a terminal, how wide, what is there to read; and
whether it blocks and is kept. Others change files that were opened for reading."""
_OWNERS: Final = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX: with them a file sends any signal to anybody."""

_CONDITIONS: Final = (
    _Condition((56, 220), 0, _ANY_BIT, (0x10000,), _ALLOW, _REFUSE),  # clone: threads
    _Condition((53, 199), 0, _EQUAL, (1,), _ALLOW, _REFUSE),  # socketpair: of AF_UNIX
    _Condition(
        (44, 206), 4, _EQUAL, (0,), _ALLOW, _REFUSE, is_pointer=True
    ),  # sendto: to no address
    _Condition((302, 261), 0, _EQUAL, (0,), _ALLOW, _REFUSE),  # prlimit64: its own
    _Condition((16, 29), 1, _EQUAL, _QUESTIONS, _ALLOW, _REFUSE),  # ioctl
    _Condition((72, 25), 1, _EQUAL, _OWNERS, _REFUSE, _ALLOW),  # fcntl
    _Condition((157, 167), 0, _EQUAL, (1,), _REFUSE, _ALLOW),  # prctl: it ends with its parent
)
_CONDITIONS_WITH_FOLDER: Final = (
    # utimensat: to a time that is given. To the present one it is refused, since `Path.touch` does
    # that first, and makes the file where it fails.
    _Condition((280, 88), 2, _EQUAL, (0,), _REFUSE, _PRETEND, is_pointer=True),
)
_CONDITIONS_WITHOUT_FOLDER: Final = (
    _Condition((2, None), 1, _ANY_BIT, (_CHANGES,), _REFUSE, _ALLOW),  # open
    _Condition((257, 56), 2, _ANY_BIT, (_CHANGES,), _REFUSE, _ALLOW),  # openat
)


def seccomp_filter(machine: str, *, own_folder: bool) -> bytes | None:
    """Return the filter as the kernel reads it, 8 bytes an instruction.

    Args:
        machine: As `platform.machine()` says.
        own_folder: Whether the program has a folder to write to and all else is read-only; without
            one the filter refuses to open files for writing, too, and pretends nothing.

    Returns:
        None for machines whose numbers are not known here.
    """
    if machine not in _MACHINES or struct.calcsize("P") != 8:
        return None
    column, name = _MACHINES[machine]
    refused = _REFUSED if own_folder else f"{_REFUSED},{_REFUSED_WITHOUT_FOLDER}"
    conditions = _CONDITIONS_WITH_FOLDER if own_folder else _CONDITIONS_WITHOUT_FOLDER
    parts = [_load(4), _jump(_EQUAL, name, 1, 0), _return(_KILL)]
    parts += [_load(0), _jump(_AT_LEAST, _FIRST_NEW, 0, 1), _return(_UNKNOWN)]
    for table, verdict in ((refused, _REFUSE), (_PRETENDED, _PRETEND if own_folder else _REFUSE)):
        for number in _numbers(table, column):
            parts += [_jump(_EQUAL, number, 0, 1), _return(verdict)]
    for condition in _CONDITIONS + conditions:
        here = condition.numbers[column]
        if here is not None:
            body = _body(condition)
            parts += [_jump(_EQUAL, here, 0, len(body)), *body]
    return b"".join([*parts, _return(_ALLOW)])


def _numbers(table: str, column: int) -> list[int]:
    entries = (entry.split()[1 + column] for entry in table.split(","))
    return [int(number) for number in entries if number != "-"]


def _body(condition: _Condition) -> list[bytes]:
    """The instructions that end with the verdict of a condition."""
    place = 16 + 8 * condition.argument
    body = []
    if condition.is_pointer:
        body += [_load(place + 4), _jump(_EQUAL, 0, 1, 0), _return(condition.otherwise)]
    body.append(_load(place))
    for value in condition.values:
        body += [_jump(condition.test, value, 0, 1), _return(condition.then)]
    return [*body, _return(condition.otherwise)]


def _load(offset: int) -> bytes:
    """Load a word of the call: its number at 0, the machine at 4, arguments of 8 bytes from 16."""
    return struct.pack("<HBBI", _LOAD, 0, 0, offset)


def _jump(test: int, value: int, then: int, otherwise: int) -> bytes:
    """Compare with what was loaded, and pass over so many instructions."""
    return struct.pack("<HBBI", test, then, otherwise, value)


def _return(verdict: int) -> bytes:
    return struct.pack("<HBBI", _RETURN, 0, 0, verdict)
