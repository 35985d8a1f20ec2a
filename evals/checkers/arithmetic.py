"""Arithmetic as models write it, in plain text or LaTeX: its tokens, and its exact value."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from typing import Final

__all__ = ["applied", "is_number", "tokens_of", "value_of"]

_LONGEST: Final = 1000
_MOST: Final = 200
_DEEPEST: Final = 40
_TOKEN: Final = re.compile(r"[0-9]+|\\(?:[A-Za-z]+|.)|.", re.DOTALL)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_SPELLINGS: Final = {
    **dict.fromkeys(("\\times", "\\cdot", "\\ast", *"xX×✕⋅·∙•∗"), "*"),
    **dict.fromkeys(("\\div", *"÷∕⁄"), "/"),
    **dict.fromkeys("−–－", "-"),
    **dict.fromkeys(("\\dfrac", "\\tfrac", "\\cfrac"), "\\frac"),
    "\\{": "[",
    "\\}": "]",
    "（": "(",
    "）": ")",
    "＋": "+",
    "＝": "=",
}
_PARTS: Final = re.compile(
    r"\\[()\[\],;:! ]|[$`~]|\\q?quad|\\left|\\right|\\[bB]ig[lr]?|\\displaystyle|\\boxed|\s"
)
"""What parts tokens and says nothing by itself."""
_STOPS: Final = frozenset(".,;")
_CLOSED_BY: Final = {"(": ")", "[": "]", "{": "}"}
_LEVELS: Final = ("+-", "*/")
"""Signs from the loosest to the tightest."""


def tokens_of(text: str, most: int = _MOST) -> list[str] | None:
    r"""Return the numbers, signs and brackets of a text, each spelling as one; linear in time.

    What is no arithmetic is kept, one character or LaTeX command each. A text that is longer than
    1,000 characters, or has more tokens than `most`, is None.

    >>> tokens_of(r"\( 3 \times 8 = 24 \)")
    ['3', '*', '8', '=', '24']
    """
    text = text.strip()
    if text.startswith("**") and text.endswith("**"):  # bold
        text = text.strip("*")
    if len(text) > _LONGEST:
        return None
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = _SPELLINGS.get(match[0], match[0])
        if not _PARTS.fullmatch(token):
            tokens.append(token)
            if len(tokens) > most + 1:  # a full stop may follow
                return None
    if tokens and tokens[-1] in _STOPS:
        tokens.pop()
    return None if len(tokens) > most else tokens


def is_number(token: str) -> bool:
    """Whether a token is a whole number, of 18 digits at most and without a 0 before them."""
    return _NUMBER.fullmatch(token) is not None


def value_of(expression: str, signs: str = "+-*/") -> tuple[Fraction, Counter[int]] | None:
    r"""Return the value of an expression and the numbers it uses; None if it is none.

    Of an equation it is the left side, or the next where that is one number. Multiplication has a
    sign: `2(3 + 4)` is none, as are numbers with a sign before them and digits side by side.

    Args:
        expression: Plain or LaTeX.
        signs: Operations allowed, of `+-*/`; a fraction is a division.

    >>> value_of("(1 + 3) * 6 = 24")
    (Fraction(24, 1), Counter({1: 1, 3: 1, 6: 1}))
    """
    tokens = tokens_of(expression)
    if tokens is None:
        return None
    side, *others = _sides(tokens)
    if len(side) == 1 and is_number(side[0]) and others:
        side = others[0]
    reader = _Reader(side, signs)
    try:
        return reader.whole(), reader.used
    except (ValueError, ZeroDivisionError):
        return None


def applied(left: Fraction, sign: str, right: Fraction) -> Fraction:
    """Return what a sign makes of two numbers.

    Raises:
        ZeroDivisionError: If it divides by 0.
    """
    if sign == "/":
        return left / right
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def _sides(tokens: list[str]) -> list[list[str]]:
    sides: list[list[str]] = [[]]
    for token in tokens:
        if token == "=":
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


class _Reader:
    """Reads tokens by descent, and evaluates."""

    def __init__(self, tokens: list[str], signs: str) -> None:
        self.used: Counter[int] = Counter()
        self._tokens, self._signs = [*tokens, ""], signs
        self._place = self._depth = 0

    def whole(self) -> Fraction:
        value = self._joined(0)
        if self._tokens[self._place]:
            raise ValueError("something follows")
        return value

    def _next(self) -> str:
        token = self._tokens[self._place]
        self._place += bool(token)
        return token

    def _joined(self, level: int) -> Fraction:
        """Parts joined by signs of a level, from the left."""
        if level == len(_LEVELS):
            return self._single()
        value = self._joined(level + 1)
        while (sign := self._tokens[self._place]) and sign in _LEVELS[level]:
            self._place += 1
            value = self._applied(value, sign, self._joined(level + 1))
        return value

    def _single(self) -> Fraction:
        token = self._next()
        if is_number(token):
            self.used[int(token)] += 1
            return Fraction(int(token))
        if token == "\\frac":
            return self._applied(
                self._within(self._next(), "{"), "/", self._within(self._next(), "{")
            )
        return self._within(token)

    def _within(self, opening: str, allowed: str = "([{") -> Fraction:
        """What stands in brackets of which the first has been read."""
        self._depth += 1
        if not opening or opening not in allowed or self._depth > _DEEPEST:
            raise ValueError("no number and no bracket, or too many")
        value = self._joined(0)
        if self._next() != _CLOSED_BY[opening]:
            raise ValueError("another bracket, or none")
        self._depth -= 1
        return value

    def _applied(self, left: Fraction, sign: str, right: Fraction) -> Fraction:
        if sign not in self._signs:
            raise ValueError("a sign that is not allowed")
        return applied(left, sign, right)
