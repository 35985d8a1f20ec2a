"""What a program under test may not do, written down for the sandbox, which has no module of ours.

The walls are the sandbox's; what the two of them that go by lists refuse is said here and in
`seccomp`, and told to it as data.
"""

from __future__ import annotations

from typing import Any, Final

from tts.evals.checkers.seccomp import seccomp_filter

__all__ = ["rules_for"]

_REFUSED: Final = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "os.chown",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.posix_spawn",
    "os.removexattr",
    "os.setxattr",
    "os.startfile",
    "os.symlink",
    "os.system",
    "os.truncate",
    "signal.pthread_kill",
    "syslog.",
    "winreg.",
)
"""How the names begin of what Python tells its hooks and ours refuses."""
_REFUSED_WITHOUT_FILTER: Final = ("os.chmod", "os.utime")
"""A filter answers these without making the call."""
_REFUSED_WITHOUT_FOLDER: Final = ("shutil.", "os.mkdir", "os.remove", "os.rename", "os.rmdir")


def rules_for(machine: str) -> dict[str, dict[str, Any]]:
    """Return the rules for a program with a folder of its own, and for one without; JSON only.

    Args:
        machine: As `platform.machine()` says on Linux; empty elsewhere.

    Returns:
        Under `own_folder` and `no_folder`: `filter`, of system calls, as hexadecimal digits, or
        None where there is none; `events`, the beginnings of the names of audit events; and
        `events_without_filter`, more of them, for where the filter cannot be set.
    """
    rules = {}
    for name, own_folder in {"own_folder": True, "no_folder": False}.items():
        made = seccomp_filter(machine, own_folder=own_folder)
        events = _REFUSED if own_folder else _REFUSED + _REFUSED_WITHOUT_FOLDER
        rules[name] = {
            "filter": made and made.hex(),
            "events": list(events),
            "events_without_filter": list(_REFUSED_WITHOUT_FILTER),
        }
    return rules
