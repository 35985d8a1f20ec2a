"""Whether two canonical answers say the same."""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from tts.canonical import is_mathematical, rational

__all__ = ["equivalent"]

_COMMAND = re.compile(r"\\([a-z]+)")
_KNOWN = re.compile(
    r"frac|dfrac|tfrac|sqrt|pi|cdot|times|div|pm|mp|le|leq|ge|geq|lt|gt|ne|neq|infty|in|"
    r"cup|cap|setminus|emptyset|mathbb|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|"
    r"ln|exp|circ|alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|sigma|begin|end|"
    r"pmatrix|bmatrix"
)
_POWER = re.compile(r"\^\s*(?:\{([^{}]*)\}|(-?\d+|[a-z]))?")
_PROSE = re.compile(r"(?<![\\a-z])(?!sqrt\b)[a-z]{4,}")
_RELATION = re.compile(r"[=<>]")
_STEPS = 3_000_000  # function calls: about two seconds


def equivalent(one: str, other: str) -> bool:
    """Return whether two canonical forms say the same.

    Equal forms do. With the extra `math` installed, expressions that are not plain numbers are
    also compared as mathematics (math-verify); without it they are not, and neither is what it
    could not decide in a bounded number of steps.

    >>> equivalent("1/2", "1/2")
    True
    """
    return one == other or _same_mathematics(*sorted((one, other)))


@lru_cache(maxsize=4096)
def _same_mathematics(one: str, other: str) -> bool:
    texts = (one, other)
    if not all(map(_tame, texts)) or all(rational(text) is not None for text in texts):
        return False
    if bool(_RELATION.search(one)) != bool(_RELATION.search(other)):
        return False
    try:
        from math_verify import parse, verify  # an extra, and a second to import
    except ImportError:
        return False
    # Its own timeouts need the main thread's signals; `_at_most` stands in for them, and the
    # warning it logs about that at every call says nothing to a user.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    try:
        with _at_most(_STEPS):
            first, second = (parse(f"${text}$", parsing_timeout=None) for text in texts)
            return bool(verify(first, second, timeout_seconds=None))
    except _StepsExceeded:
        return False


def _tame(text: str) -> bool:
    """Whether it is an expression, and no single step of a computer-algebra system may explode.

    Not with prose, commands nobody knows, factorials, powers of powers, or very long numbers.
    """
    if not is_mathematical(text) or _PROSE.search(text):
        return False
    if len(text) > 200 or "!" in text or re.search(r"\d{30}", text):
        return False
    power = 1
    for match in _POWER.finditer(text):
        exponent = match[1] or match[2] or "^"
        if "^" in exponent:
            return False
        power *= math.prod(max(1, int(number)) for number in re.findall(r"\d+", exponent))
    return power <= 1000 and all(map(_KNOWN.fullmatch, _COMMAND.findall(text)))


class _StepsExceeded(BaseException):
    """No `Exception`, lest somebody in between catches it."""


@contextmanager
def _at_most(steps: int) -> Iterator[None]:
    """Allow so many function calls: unlike seconds, the same on every machine and thread."""
    before, left = sys.getprofile(), iter(range(steps))

    def count(*_: object) -> None:
        if next(left, None) is None:
            raise _StepsExceeded

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
