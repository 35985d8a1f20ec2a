"""Matches regular expressions. Run as a script, by the checker that asks it.

A line `ready`, then a line of JSON for each line of JSON: `pattern`, `flags`, `text`, `whole` and
`seconds` are answered by `{"matches": true}` or `{"matches": false}`. A match that takes longer
ends the process, be there anybody left to kill it or not.
"""

from __future__ import annotations

import json
import re
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Answer until the input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pattern = re.compile(order["pattern"], order["flags"])
        _end_after(order["seconds"])
        search = pattern.fullmatch if order["whole"] else pattern.search
        matches = search(order["text"]) is not None
        _end_after(0)
        print(json.dumps({"matches": matches}), flush=True)


def _end_after(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # Posix
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
