"""Compares answers by math-verify. Run as a script, by the checker that asks it.

A line `ready`, then a line of JSON for each line of JSON: `{"right": ..., "given": ...}` is
answered by `{"equal": true}`, `{"equal": false}` or `{"failed": "why"}`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Answer until the input ends."""
    from math_verify import parse, verify

    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_judged(parse, verify, order)), file=answers, flush=True)


def _judged(parse: Any, verify: Any, order: dict[str, Any]) -> dict[str, Any]:
    from math_verify.errors import TimeoutException  # a BaseException

    try:
        right = _read(parse, order["right"])
        if not right:
            return {"failed": "the right answer cannot be read as mathematics"}
        given = _read(parse, order["given"])
        return {"equal": bool(given) and bool(verify(right, given, raise_on_error=True))}
    except (
        Exception,
        TimeoutException,
    ) as error:  # a computer-algebra system on anything a model wrote
        return {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:200]}


def _read(parse: Any, text: str) -> Any:
    """Parse an answer that may or may not be wrapped as LaTeX; nothing where it cannot be read."""
    text = text.replace("\\$", "")
    wrapped = "$" in text or "\\boxed" in text
    try:
        return parse(text if wrapped else f"${text}$", raise_on_error=True)
    except Exception:  # malformed in one of many ways; a timeout is not among them
        return []


if __name__ == "__main__":
    main()
