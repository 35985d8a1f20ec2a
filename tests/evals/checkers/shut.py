"""The sandbox run by itself, with or without some of its walls."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from tts.evals.checkers import sandbox
from tts.evals.checkers.rules import rules_for

__all__ = ["order_of", "told_without"]


def order_of(program: str, **more: Any) -> str:
    """What the sandbox is told of a program."""
    order = {
        "before": "",
        "program": program,
        "test": "",
        "token": "T",
        "cpu_seconds": 2,
        "memory_bytes": 1 << 30,
        "rules": rules_for(platform.machine() if sys.platform == "linux" else ""),
        "parent": os.getpid(),
    }
    return json.dumps(order | more)


def told_without(missing: str, program: str, folder: Path | None = None) -> dict[str, Any]:
    """Run a program where walls are missing, such as `_landlock _seccomp`."""
    text = Path(sandbox.__file__).read_text().partition('if __name__ == "__main__"')[0]
    for wall in missing.split():
        text += f"\ndef {wall}(*given, **named): return False\n"
    done = subprocess.run(
        [sys.executable, "-ISBc", f"{text}\nmain()"],
        input=order_of(program).encode(),
        stdout=subprocess.PIPE,
        cwd=folder,
        env={},
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told
