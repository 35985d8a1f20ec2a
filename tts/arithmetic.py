"""Arithmetic on texts: parsed by hand, exact on whole numbers, never evaluated as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["bounded", "calculate"]

Number: TypeAlias = int | float

_TOKEN = re.compile(
    r"\s*(?:((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"
    r"|([A-Za-z]+)|(\*\*|//|[-+*/%^(),]))"
)
_SIGNS = {"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": ""}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "log": math.log,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}
_MOST_BITS = 4096
_LONGEST = 2000
_DEEPEST = 60


def calculate(expression: str) -> Number:
    """Return the value of an arithmetic expression.

    Numbers with + - * / // % ** ^ and parentheses, `abs ceil floor log max min round sqrt`, `pi`
    and `e`. Thousands may be parted by commas (`max(1, 2)` needs its space), and `20%` is 0.2
    where no number follows. A division of whole numbers that comes out even is a whole number.

    Raises:
        ValueError: If it is no such expression, or its value is too large.
        ZeroDivisionError: If it divides by zero.

    >>> calculate("2 * (3 + 4) ** 2")
    98
    >>> calculate("1,000 * 20%")
    200.0
    """
    for sign, plain in _SIGNS.items():
        expression = expression.replace(sign, plain)
    if len(expression) > _LONGEST:
        raise ValueError(f"more than {_LONGEST} characters")
    return _Expression(_tokens(expression)).value()


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"no arithmetic: {text[at : at + 20]!r}")
        word = found[1] or found[2] or found[3]
        tokens.append(word)
        at = found.end()
    return tokens


class _Expression:
    """A parser by precedence: sums of products of signed powers."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def value(self) -> Number:
        value = self._sum()
        if self._at < len(self._tokens):
            raise ValueError(f"{self._tokens[self._at]!r} is not expected there")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _sum(self) -> Number:
        value = self._product()
        while self._peek() in {"+", "-"}:
            add = self._next() == "+"
            other = self._product()
            value = bounded(value + other if add else value - other)
        return value

    def _product(self) -> Number:
        value = self._signed()
        while self._peek() in {"*", "/", "//", "%"}:
            sign = self._next()
            if sign == "%" and not self._begins_value():
                value = value / 100
                continue
            other = self._signed()
            value = bounded(_PRODUCTS[sign](value, other))
        return value

    def _begins_value(self) -> bool:
        token = self._peek()
        return token == "(" or token[:1].isalnum() or token.startswith(".")

    def _signed(self) -> Number:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")
        try:
            if self._peek() in {"-", "+"}:
                return -self._signed() if self._next() == "-" else self._signed()
            base = self._atom()
            if self._peek() in {"**", "^"}:
                self._next()
                return _power(base, self._signed())
            return base
        finally:
            self._depth -= 1

    def _atom(self) -> Number:
        token = self._next()
        if token == "(":
            value = self._sum()
            self._close()
            return value
        if token in _FUNCTIONS:
            return self._call(token)
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if not token[:1].isdigit() and not token.startswith("."):
            raise ValueError(f"a number is expected, not {token or 'the end'!r}")
        digits = token.replace(",", "")
        return bounded(float(digits) if set(digits) & set(".eE") else int(digits))

    def _call(self, name: str) -> Number:
        if self._next() != "(":
            raise ValueError(f"{name} needs parentheses")
        arguments = [self._sum()]
        while self._peek() == ",":
            self._next()
            arguments.append(self._sum())
        self._close()
        try:
            return bounded(_FUNCTIONS[name](*arguments))
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from error

    def _close(self) -> None:
        if self._next() != ")":
            raise ValueError("a parenthesis is not closed")


def _divide(one: Number, other: Number) -> Number:
    if isinstance(one, int) and isinstance(other, int) and other and one % other == 0:
        return one // other
    return one / other


_PRODUCTS: dict[str, Callable[[Number, Number], Number]] = {
    "*": operator.mul,
    "/": _divide,
    "//": operator.floordiv,
    "%": operator.mod,
}


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > _MOST_BITS:
            raise ValueError("the power is too large")
        return int(base**exponent)
    try:
        value = base**exponent
    except OverflowError as error:
        raise ValueError("the power is too large") from error
    if isinstance(value, complex):
        raise ValueError("a root of a negative number")
    return bounded(value)


def bounded(value: Number) -> Number:
    """Return a number that is not too large to go on with.

    Raises:
        ValueError: If it has more than 4,096 bits, or is not finite.
    """
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise ValueError("the number is too large")
    elif not math.isfinite(value):
        raise ValueError("the number is too large")
    return value
