"""Whether two canonical answers say the same."""

from __future__ import annotations

import logging
import math
import re
from functools import lru_cache
from itertools import accumulate

from tts.canonical import NOT_UNITS, is_mathematical, rational

__all__ = ["equivalent"]

_COMMAND = re.compile(r"\\([A-Za-z]+)")
_KNOWN = re.compile(
    r"frac|sqrt|pi|cdot|times|div|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|"
    r"alpha|beta|delta|theta|lambda|mu|phi|omega|sigma"
)
# No comma, brace of a set, bracket, subscript, decimal point, percent sign, raised digit: what
# these mean is taken in several ways, or rounded.
_EXPRESSION = re.compile(r"(?:[A-Za-z0-9+\-*/^<>=(){} ]|\\(?=[A-Za-z])|(?<=\\sqrt)\[\d\])+")
_LETTERS = re.compile(r"[A-Za-z]+")
_POWER = re.compile(r"\^\s*(?:\{([^{}]*)\}|(-?\d+|[A-Za-z]))?\s*(\^)?")
_RELATION = re.compile(r"([=<>])")
_LONGEST = 60  # characters; answers of benchmarks are shorter, and work grows with length
_DEEPEST = 6  # brackets within brackets; the parser doubles its work with every pair of braces
_LARGEST_POWER = 12  # of all exponents multiplied


def equivalent(one: str, other: str) -> bool:
    """Return whether two canonical forms say the same.

    Equal forms do. With the extra `math` installed, expressions that are not plain numbers are
    also compared as mathematics (math-verify), the sides of an equation one by one. Without it
    they are not, and neither are tuples, intervals, sets, numbers with a base, decimals within an
    expression, and whatever is long or has large powers.

    >>> equivalent("1/2", "1/2")
    True
    """
    return one == other or _same_mathematics(*sorted((one, other)))


@lru_cache(maxsize=4096)
def _same_mathematics(one: str, other: str) -> bool:
    texts = (one, other)
    if not all(map(_tame, texts)) or all(rational(text) is not None for text in texts):
        return False
    letters = set("".join(_LETTERS.findall(_COMMAND.sub("", one + other))))
    if len({letter.casefold() for letter in letters}) < len(letters):
        return False  # math-verify takes X for x
    sides = [_RELATION.split(text) for text in texts]
    if sides[0][1::2] != sides[1][1::2] or len(sides[0]) > 3:
        return False
    return all(map(_same_value, sides[0][::2], sides[1][::2]))


def _same_value(one: str, other: str) -> bool:
    if one == other or not (one.strip() and other.strip()):
        return one == other
    try:
        from math_verify import parse, verify  # an extra, and a second to import
    except ImportError:
        return False
    # Its own timeouts need the main thread's signals; `_tame` stands in for them, and the warning
    # it logs about that at every call says nothing to a user.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    first, second = (parse(f"${text}$", parsing_timeout=None) for text in (one, other))
    return bool(verify(first, second, timeout_seconds=None))


def _tame(text: str) -> bool:
    """Whether it is an expression that a computer-algebra system is soon done with.

    Not with prose, commands nobody knows, factorials, powers of powers, or long numbers.
    """
    if not is_mathematical(text) or len(text) > _LONGEST or not _EXPRESSION.fullmatch(text):
        return False
    if re.search(r"\d{10}|\d \d", text) or not all(map(_KNOWN.fullmatch, _COMMAND.findall(text))):
        return False
    depths = accumulate((sign in "({[") - (sign in ")}]") for sign in text)
    if max(depths) > _DEEPEST:
        return False
    words = _LETTERS.findall(_COMMAND.sub(" ", text))
    if any(len(word) > 3 or NOT_UNITS.fullmatch(word.casefold()) for word in words):
        return False
    power = 1
    for match in _POWER.finditer(text):
        exponent = match[1] or match[2] or "^"
        if "^" in exponent or match[3]:
            return False
        power *= math.prod(max(1, int(number)) for number in re.findall(r"\d+", exponent))
    return power <= _LARGEST_POWER
