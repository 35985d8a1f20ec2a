"""The canonical form of an answer: the key under which it is counted."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

__all__ = [
    "LETTER",
    "NOT_UNITS",
    "NUMBER",
    "bare_answer",
    "canonical",
    "is_mathematical",
    "joined_groups",
    "rational",
    "unassigned",
]

NUMBER: Final = r"-?\d+(?:,\d{3})*(?:\.\d+)?|-?\.\d+"
"""A regular expression for a number."""
LETTER: Final = re.compile(r"\(?([A-Ja-j])\)?")
"""Matches all of a choice letter, in parentheses or not."""
NOT_UNITS: Final = re.compile(
    r"pi|sqrt|roots?|or|and|to|mod|log|ln|sin|cos|tan|cdot|times|over|of|plus|minus|by|if|when|"
    r"squared|cubed|factorial|choose|base|remainder|power|am|pm|bce?|ad|cents?|less|more|fewer|"
    r"than|least|most|not|no|none|nor|neither|never|negative|between|half|halves|thirds?|"
    r"quarters?|fourths?|fifths?|sixths?|eighths?|ninths?|tenths?|hundredths?|thousandths?"
)
"""Matches a word that changes what the number beside it says."""

_UNWRAP = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}")
_NARROWING = re.compile(r"\\!\s*")
_SPACING = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|(?<!\\)\\[,;:> ()\[\]]|~")
# Groups of three digits, parted alike. Not behind a letter, a point or a brace: \sqrt3\,100.
_PART = r"\\,|\{,\}|[\u00a0\u2009\u202f]"
_GROUPED = re.compile(
    rf"(?<![\w.,^}}])\d{{1,3}}(?P<part>{_PART})\d{{3}}(?:(?P=part)\d{{3}})*(?!(?:{_PART})?\d|\s*/)"
)
# A plain blank parts two numbers as well, so that nothing else may stand beside.
_BLANKS = re.compile(r"[-+]? ?[$€£]?[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?")
_EN_DASH = re.compile(r"^–(?=[\w\\$€£.(])")
_ASSIGNED = re.compile(r"^\\?[A-Za-z]\w*\s*=\s*(?=[^=]+$)")
# Not in an exponent or under a root, where the fraction without its braces would fall apart.
_FRACTION = re.compile(
    r"(?<![\^/_])(?<!\\sqrt)\\frac\s*"
    r"(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))(?!\s*[\^!])"
)
_RATIONAL = re.compile(
    rf"""(?P<sign>[-+]?)\s*[$€£]?\s*
    (?:(?P<whole>\d+)\s+(?=\d+\s*/))?
    (?P<number>{NUMBER})
    (?:\s*/\s*(?P<under>\d+)
      |\s*(?:e|(?:\\times|\\cdot|\*|×|x)\s*10\s*\^)\s*\{{?(?P<power>[-+]?\d{{1,2}})\}}?)?
    \s*(?P<unit>.*)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"%": Fraction(1, 100), "\\%": Fraction(1, 100), "percent": Fraction(1, 100)}
_SCALES |= {"dozen": Fraction(12), "hundred": Fraction(100), "thousand": Fraction(1000)}
_SCALES |= {"million": Fraction(10**6), "billion": Fraction(10**9), "trillion": Fraction(10**12)}
_UNIT = re.compile(
    r"[kc]?m|[km]?g|lbs?|oz|m?s|h|hrs?|min|m?l|[mk]ph|ft|in|yd|mi|usd|eur|[€£$]|"
    r"°[cf]?|\^?\\circ|\^\{\\circ\}"
)


def bare_answer(text: str) -> str:
    """Return the answer without dressing: Markdown, dollar signs, spacing, end punctuation."""
    text = joined_groups(_NARROWING.sub("", _UNWRAP.sub(r" \1", text)))
    text = _SPACING.sub(" ", text).replace("\\$", "$").replace("−", "-")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _FRACTION.sub(_plain_fraction, text)
    text = " ".join(text.strip("*_`'\" \t\n").split())
    if text.startswith("$") and text.endswith("$") and len(text) > 1:
        text = text.strip("$ ")
    text = _EN_DASH.sub("-", text.rstrip(".;,: "))
    letter = LETTER.fullmatch(text)
    return letter[1] if letter else text


def joined_groups(text: str) -> str:
    r"""Return a text whose numbers have no spaces and no `\,` or `{,}` between thousands.

    >>> joined_groups(r"10{,}000 of 12\,000\,000")
    '10000 of 12000000'
    """
    return _GROUPED.sub(lambda match: match[0].replace(match["part"], ""), text)


def _plain_fraction(match: re.Match[str]) -> str:
    over, under = match[1] or match[2], match[3] or match[4]
    if not match.string[match.start() - 1 : match.start()].isdigit():
        return f"{over}/{under}"
    return match[0] if over.startswith("-") else f" {over}/{under}"  # a mixed number


def unassigned(text: str) -> str:
    """Return what a bare answer like `x = 5` gives to a single name, else the text."""
    return _ASSIGNED.sub("", text)


@lru_cache(maxsize=4096)
def rational(text: str) -> Fraction | None:
    """Return the number that a bare answer is, or None."""
    if len(text) > 80:
        return None
    if _BLANKS.fullmatch(text):
        text = text.replace(" ", "")
    match = _RATIONAL.fullmatch(text)
    if match is None:
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
    words, scale = unit.casefold().split(), Fraction(1)
    while words and words[0] in _SCALES:
        scale, attached = scale * _SCALES[words.pop(0)], False
    if attached and words and len(words[0]) == 1 and words[0].isalpha():
        return None  # 2m is a product
    if all(map(_UNIT.fullmatch, words)):
        return scale
    plain = all(re.fullmatch(r"[^\W\d]{2,}(?:[/^][\w²³]+)*", word) for word in words)
    if attached or not plain or len(words) > 4 or any(map(NOT_UNITS.fullmatch, words)):
        return None
    return scale


@lru_cache(maxsize=4096)
def canonical(answer: str) -> str:
    r"""Return the key under which an answer is counted.

    Numbers become exact fractions: thousands separators, currency signs and units fall away, a
    percentage is a hundredth. Anything else is compared without spacing and dressing; words and
    choice letters also without case, unlike expressions: `X` is not `x`.

    >>> [canonical(text) for text in ("$1,200.50", r"1\frac{1}{2}", "50%", "7 apples", "(B)")]
    ['2401/2', '3/2', '1/2', '7', 'b']
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
    value = rational(unassigned(bare))
    if value is not None:
        return str(value)
    key = _IDLE_SPACE.sub(r"\1", bare) if is_mathematical(bare) else bare
    return key if _minds_case(key) else key.casefold()


_LAYERS = 20  # of dressing, one within the other; what is wrapped deeper stays wrapped
# Spaces in mathematics, but for those that part two numbers: "1 2" is not 12, "1, 200" not 1200;
# and those that end a command: \pi r.
_IDLE_SPACE = re.compile(
    r"(\\[A-Za-z]+ (?=[A-Za-z]))| (?!\d)|(?<![\d,]) |(?<=[^\d],) |(?<=,) (?!\d{3}(?!\d))"
)
_MATHEMATICAL = re.compile(r"[\\^_=+*/(){}\[\]<>]|\d")
_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "mod"}


def is_mathematical(text: str) -> bool:
    """Return whether a text looks like mathematics rather than words."""
    return _MATHEMATICAL.search(text) is not None


def _minds_case(key: str) -> bool:
    r"""Whether `X` and `x`, `\Gamma` and `\gamma` differ in it: not in words, choice letters."""
    if "\\" in key or (len(key) == 1 and not LETTER.fullmatch(key)):
        return True
    return is_mathematical(key) and all(
        word.casefold() in _FUNCTIONS for word in _WORD.findall(key)
    )
