"""The canonical form of an answer: the key under which it is counted."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

__all__ = ["LETTER", "NUMBER", "bare_answer", "canonical", "is_mathematical", "rational"]

NUMBER: Final = r"-?\d+(?:,\d{3})*(?:\.\d+)?|-?\.\d+"
"""A regular expression for a number."""
LETTER: Final = re.compile(r"(?<![\w'])\(?([A-J])\)?(?![\w'])")
"""Matches a choice letter, in parentheses or not."""

_UNWRAP = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\(?:left|right|displaystyle|[!,;:> ])|~")
_ASSIGNED = re.compile(r"^\\?[A-Za-z]\w*\s*=\s*(?=[^=]+$)")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_RATIONAL = re.compile(
    rf"""(?P<sign>[-+]?)\s*[$€£]?\s*
    (?:(?P<whole>\d+)\s+(?=\d+\s*/))?
    (?P<number>{NUMBER})
    (?:\s*/\s*(?P<under>\d+)
      |\s*(?:e|(?:\\times|\\cdot|\*|×|x)\s*10\s*\^)\s*\{{?(?P<power>[-+]?\d{{1,2}})\}}?)?
    \s*(?P<unit>.*)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"%": (1, 100), "percent": (1, 100), "thousand": (1000, 1), "million": (10**6, 1)}
_SCALES |= {"\\%": (1, 100), "billion": (10**9, 1)}
_UNIT = re.compile(
    r"[kcm]?m|[km]?g|lbs?|oz|m?s|h|hrs?|min|m?l|[mk]ph|ft|in|yd|mi|[cfk]|usd|eur|[€£$]|"
    r"°[cf]?|\^?\\circ|\^\{\\circ\}"
)
_NO_UNIT = re.compile(
    r"pi|sqrt|or|and|to|mod|log|ln|sin|cos|tan|cdot|times|over|of|plus|minus|by|if|when"
)


def bare_answer(text: str) -> str:
    """Return the answer without dressing: Markdown, dollar signs, spacing, end punctuation."""
    text = _SPACING.sub(" ", _UNWRAP.sub(r" \1", text)).replace("\\$", "$").replace("−", "-")
    text = _FRACTION.sub(lambda m: f"{m[1] or m[2]}/{m[3] or m[4]}", text)
    text = " ".join(text.strip("*_`'\" \t\n").split())
    if text.startswith("$") and text.endswith("$") and len(text) > 1:
        text = text.strip("$ ")
    text = text.rstrip(".;,: ")
    letter = LETTER.fullmatch(text)
    return letter[1] if letter else text


def rational(text: str) -> Fraction | None:
    """Return the number that a bare answer is, or None."""
    match = _RATIONAL.fullmatch(text)
    if match is None or len(text) > 80:
        return None
    scale = _scale(match["unit"], attached=text[: match.start("unit")][-1:].isdigit())
    under = int(match["under"] or 1)
    if scale is None or under == 0:
        return None
    value = Fraction(match["number"].replace(",", "")) / under
    value = (Fraction(match["whole"] or 0) + value) * Fraction(10) ** int(match["power"] or 0)
    return value * scale * (-1 if match["sign"] == "-" else 1)


def _scale(unit: str, *, attached: bool) -> Fraction | None:
    """What the words behind a number multiply it by; None if they are not a unit."""
    words = unit.casefold().split()
    if words and words[0] in _SCALES:
        return Fraction(*_SCALES[words[0]])
    if not words or all(map(_UNIT.fullmatch, words)):
        return Fraction(1)
    plain = all(re.fullmatch(r"[^\W\d]{2,}(?:[/^][\w²³]+)*", word) for word in words)
    if attached or not plain or len(words) > 4 or any(map(_NO_UNIT.fullmatch, words)):
        return None
    return Fraction(1)


@lru_cache(maxsize=4096)
def canonical(answer: str) -> str:
    r"""Return the key under which an answer is counted.

    Numbers become exact fractions: thousands separators, currency signs and units fall away, a
    percentage is a hundredth. Anything else is compared without case, spacing and dressing.

    >>> [canonical(text) for text in ("$1,200.50", r"\frac{1}{2}", "50%", "7 apples", "(B)")]
    ['2401/2', '1/2', '1/2', '7', 'b']
    """
    for _ in range(_LAYERS):
        key = _undressed(answer)
        if key == answer:
            break
        answer = key
    return answer


def _undressed(answer: str) -> str:
    """One step towards the canonical form."""
    bare = bare_answer(answer)
    value = rational(_ASSIGNED.sub("", bare))
    if value is not None:
        return str(value)
    return (_IDLE_SPACE.sub("", bare) if is_mathematical(bare) else bare).casefold()


_LAYERS = 20  # of dressing, one within the other; what is wrapped deeper stays wrapped
# Spaces in mathematics, but for those that part two numbers: "1 2" is not 12, "1, 200" not 1200.
_IDLE_SPACE = re.compile(r" (?!\d)|(?<![\d,]) |(?<=[^\d],) |(?<=,) (?!\d{3}(?!\d))")
_MATHEMATICAL = re.compile(r"[\\^_=+*/(){}\[\]<>]|\d")


def is_mathematical(text: str) -> bool:
    """Return whether a text looks like mathematics rather than words."""
    return _MATHEMATICAL.search(text) is not None
