"""From a completion's text to an answer that can be counted.

Three steps: *extract* the answer from the text (or abstain), bring it into *canonical* form (the
key under which it is counted), and ask whether two keys are *equivalent*.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from pydantic import field_validator, model_validator

from tts.frozen import Frozen

__all__ = ["AnswerFormat", "canonical", "equivalent"]

_MARKER = re.compile(r"(?im)\banswer\b[\s*_]*(?:is\b|:|=)[ \t*_:]*(\S.*)$")
_BOXED = re.compile(r"\\f?boxed\s*\{")
_NUMBER = r"-?\d+(?:,\d{3})*(?:\.\d+)?|-?\.\d+"
_LAST_NUMBER = re.compile(rf"(?<![\w.])\$?((?:{_NUMBER})(?:/\d+)?\s?%?)")
_LETTER = re.compile(r"(?<![\w'])\(?([A-J])\)?(?![\w'])")
_OPTION = re.compile(r"\(([A-J])\)|(?i:\b(?:option|choice))\s+([A-J])\b")


class AnswerFormat(Frozen):
    r"""How to find the answer in a completion.

    * ``auto``: the last ``Answer: ...`` or ``\boxed{...}``; without one, the last number.
    * ``number``: as ``auto``, and only a number counts.
    * ``choice``: a letter A to J, marked, in parentheses or after "option".
    * ``text``: the last ``Answer: ...`` or ``\boxed{...}``, else the last line.
    * ``pattern``: the last match of a regular expression: its group `answer`, else its first
      group, else the whole match.
    """

    kind: Literal["auto", "number", "choice", "text"] = "auto"
    pattern: str | None = None
    """A regular expression that replaces the rules of `kind`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    def extract(self, text: str, *, complete: bool = True) -> str | None:
        r"""Return the answer in a completion's text, or None: an abstention.

        Args:
            text: The completion.
            complete: False if the text was cut off; then only a marked answer counts, since the
                last number of an unfinished thought answers nothing.

        >>> AnswerFormat().extract("3 + 4 = 7\nAnswer: 7 apples")
        '7 apples'
        >>> AnswerFormat().extract("it must be 12", complete=False) is None
        True
        """
        if self.pattern is not None:
            return _last_match(self.pattern, text)
        marked = _marked(text)
        if self.kind == "choice":
            return _choice(marked, text if complete else "")
        if self.kind == "number":
            return _number(marked) or (_number(text) if complete else None)
        if marked or not complete:
            return marked
        if self.kind == "text":
            return text.strip().rpartition("\n")[2].strip() or None
        return _number(text)


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    return next(iter(deque(matches, maxlen=1)), None)


def _last_match(pattern: str, text: str) -> str | None:
    found = _last(re.finditer(pattern, text))
    if found is None:
        return None
    if "answer" in found.re.groupindex:
        group = found["answer"]
    else:
        group = found[1] if found.re.groups else found[0]
    return (group or "").strip() or None


def _marked(text: str) -> str | None:
    """The last answer announced as one, by `Answer:` or by a box."""
    marker = _last(_MARKER.finditer(text))
    boxes = [match.end() for match in _BOXED.finditer(text)]
    if boxes and (marker is None or boxes[-1] > marker.start()):
        content = _braced(text, boxes[-1])
        if content:
            return content
    return marker[1].rstrip("*_. \t\r") or None if marker else None


def _braced(text: str, start: int) -> str | None:
    """The text from `start` to the brace that closes the one before it."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place].strip()
    return None


def _number(text: str | None) -> str | None:
    if text is None:
        return None
    if _rational(_bare(text)) is not None:
        return text
    numbers = _LAST_NUMBER.findall(text)
    return numbers[-1].strip() if numbers else None


def _choice(marked: str | None, text: str) -> str | None:
    if marked and (letter := _LETTER.search(_bare(marked))):
        return letter[1]
    options = _OPTION.findall(text)
    if options:
        return "".join(options[-1])
    return text.strip() if _LETTER.fullmatch(text.strip()) else None


_UNWRAP = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\(?:left|right|displaystyle|[!,;:> ])|~")
_ASSIGNED = re.compile(r"^\\?[A-Za-z]\w*\s*=\s*(?=[^=]+$)")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_RATIONAL = re.compile(
    rf"""(?P<sign>[-+]?)\s*[$€£]?\s*
    (?:(?P<whole>\d+)\s+(?=\d+\s*/))?
    (?P<number>{_NUMBER})
    (?:\s*/\s*(?P<under>\d+)
      |\s*(?:e|(?:\\times|\\cdot|\*|×|x)\s*10\s*\^)\s*\{{?(?P<power>[-+]?\d{{1,2}})\}}?)?
    \s*(?P<unit>.*)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"%": (1, 100), "percent": (1, 100), "thousand": (1000, 1), "million": (10**6, 1)}
_SCALES |= {"\\%": (1, 100), "billion": (10**9, 1)}
_UNITS = frozenset(
    [
        "km",
        "cm",
        "mm",
        "m",
        "kg",
        "g",
        "mg",
        "lb",
        "lbs",
        "oz",
        "s",
        "ms",
        "h",
        "hr",
        "hrs",
        "min",
        "l",
        "ml",
        "mph",
        "kph",
        "ft",
        "in",
        "yd",
        "mi",
        "c",
        "f",
        "k",
        "usd",
        "eur",
        "€",
        "£",
        "$",
        "°",
        "°c",
        "°f",
        "\\circ",
        "^\\circ",
        "^{\\circ}",
    ]
)
_NOT_UNITS = frozenset(
    [
        "pi",
        "sqrt",
        "or",
        "and",
        "to",
        "mod",
        "log",
        "ln",
        "sin",
        "cos",
        "tan",
        "cdot",
        "times",
        "over",
        "of",
        "plus",
        "minus",
        "by",
        "if",
        "when",
    ]
)


def _bare(text: str) -> str:
    """The answer without dressing: Markdown, dollar signs, spacing commands, end punctuation."""
    text = _SPACING.sub(" ", _UNWRAP.sub(r" \1", text)).replace("\\$", "$").replace("−", "-")
    text = _FRACTION.sub(lambda m: f"{m[1] or m[2]}/{m[3] or m[4]}", text)
    text = " ".join(text.strip("*_`'\" \t\n").split())
    if text.startswith("$") and text.endswith("$") and len(text) > 1:
        text = text.strip("$ ")
    text = text.rstrip(".;,: ")
    letter = _LETTER.fullmatch(text)
    return letter[1] if letter else text


def _rational(text: str) -> Fraction | None:
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
    if not words or all(word in _UNITS for word in words):
        return Fraction(1)
    plain = all(re.fullmatch(r"[^\W\d]{2,}(?:[/^][\w²³]+)*", word) for word in words)
    if attached or not plain or len(words) > 4 or _NOT_UNITS & set(words):
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
    bare = _bare(answer)
    value = _rational(_ASSIGNED.sub("", bare))
    if value is not None:
        return str(value)
    return (_IDLE_SPACE.sub("", bare) if _mathematical(bare) else bare).casefold()


_LAYERS = 20  # of dressing, one within the other; what is wrapped deeper stays wrapped
# Spaces in mathematics, but for those that part two numbers: "1 2" is not 12, "1, 200" not 1200.
_IDLE_SPACE = re.compile(r" (?!\d)|(?<![\d,]) |(?<=[^\d],) |(?<=,) (?!\d{3}(?!\d))")
_MATHEMATICAL = re.compile(r"[\\^_=+*/(){}\[\]<>]|\d")
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


def _mathematical(text: str) -> bool:
    return _MATHEMATICAL.search(text) is not None


def equivalent(one: str, other: str) -> bool:
    """Return whether two canonical forms say the same.

    Equal forms do. With the extra `math` installed, expressions that are not plain numbers are
    also compared as mathematics (math-verify); without it they are not, and neither is what it
    could not decide in a bounded number of steps.

    >>> equivalent("1/2", canonical("0.5"))
    True
    """
    return one == other or _same_mathematics(*sorted((one, other)))


@lru_cache(maxsize=4096)
def _same_mathematics(one: str, other: str) -> bool:
    texts = (one, other)
    if not all(map(_tame, texts)) or all(_rational(text) is not None for text in texts):
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
    if not _mathematical(text) or _PROSE.search(text):
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
