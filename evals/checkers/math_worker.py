"""Compares answers by math-verify. Run as a script, by the checker that asks it.

A line `ready`, then a line of JSON for each line of JSON: `{"right": ..., "given": ...}` is
answered by `{"equal": true}`, `{"equal": false}` or `{"failed": "why"}`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

__all__ = ["main", "same_base"]


def main() -> None:
    """Answer until the input ends."""
    from math_verify import parse, verify

    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_judged(parse, verify, order)), file=answers, flush=True)


_BASE = re.compile(r"\$*\s*([0-9][0-9A-Za-z]*)\s*_\s*(?:\{\s*(\d+)\s*\}|(\d+))\s*\$*")


def same_base(right: str, given: str) -> bool | None:
    """Return whether two numbers are the same, digits and base; None if that cannot be said.

    >>> same_base("2516_8", "x = 2516_{8}"), same_base("2516_8", "2516"), same_base("5", "5")
    (True, False, None)
    """
    texts = [_bare(text).rsplit("=", 1)[-1].strip() for text in (right, given)]
    one, other = (_BASE.fullmatch(text) for text in texts)
    if one is None or other is None:
        plain = all(each or text.isalnum() for each, text in zip((one, other), texts, strict=True))
        return False if plain and (one or other) else None
    return (one[1].lower(), one[2] or one[3]) == (other[1].lower(), other[2] or other[3])


def _bare(text: str) -> str:
    boxed = re.fullmatch(r"\s*\$*\s*\\boxed\s*\{(.*)\}\s*\$*\s*", text, re.DOTALL)
    text = boxed[1] if boxed else text
    return re.sub(r"\\(?:text|mathrm)\s*\{([^{}]*)\}", r"\1", text).strip().rstrip(".")


def _judged(parse: Any, verify: Any, order: dict[str, Any]) -> dict[str, Any]:
    from math_verify.errors import TimeoutException  # a BaseException

    based = same_base(order["right"], order["given"])
    if based is not None:
        return {"equal": based}
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
