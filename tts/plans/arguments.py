"""The arguments of a call in a plan: Python's literals, JSON's words, references, or plain text."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tts.plans.values import reference, template

__all__ = ["Arguments", "Brackets", "read_arguments"]

_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[A-Za-z]+")
_WORDS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": "", "0": "\0"}
_DEEPEST = 40
_MOST_DIGITS = 300


class Brackets:
    """Follows a text character by character: how deep in brackets, whether in a quoted text.

    A quote opens a text only where a value may begin, so the apostrophe of a plain
    `Schindler's List` opens none. Three of them open a text that three of them close.
    """

    __slots__ = ("_before", "_is_escaped", "_run", "depth", "quote")

    def __init__(self, depth: int = 0) -> None:
        self.depth, self.quote = depth, ""
        self._before, self._is_escaped = "(", False
        self._run = 0
        """Quotes in a row: at the opening of a text, and within one that three of them close."""

    def feed(self, character: str) -> None:
        """Take in the next character."""
        if self.quote:
            if self._is_escaped:
                self._is_escaped = False
            elif character == "\\":
                self._is_escaped = True
            elif character != self.quote[0]:
                self._run = 0
            else:
                self._run += 1
                if len(self.quote) == 1 or self._run == 3:
                    self.quote, self._before = "", character
            return
        if self._run == 2 and character == self._before:  # the third: no empty text after all
            self.quote, self._run = character * 3, 0
            return
        self._run = 0
        if character in "'\"" and self._before in "([{,=:+":
            self.quote, self._run = character, 1
        elif character in "([{":
            self.depth += 1
        elif character in ")]}":
            self.depth -= 1
        if not character.isspace():
            self._before = character


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between the parentheses of a call.

    Attributes:
        positional: The values in order.
        keywords: Names and values.
        whole: All of it as one plain text, for a tool that takes just one.
        is_plain: True if some of it is neither a literal nor a reference.
    """

    positional: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]
    whole: Any
    is_plain: bool


class _NoValue(ValueError):
    """The text is no literal."""


def read_arguments(text: str, known: Collection[int], lost: Collection[int] = ()) -> Arguments:
    """Read the text between a call's parentheses.

    Args:
        text: The text.
        known: The steps that may be referred to.
        lost: Steps that the plan has, and that could not be read.

    Raises:
        UnknownReference: If an argument is a reference to another step.
    """
    positional: list[Any] = []
    keywords: list[tuple[str, Any]] = []
    is_plain = False
    for piece in _split(text):
        named = _KEYWORD.match(piece)
        written = piece[named.end() :] if named else piece
        try:
            value = _Values(written, known, lost).read()
        except (_NoValue, RecursionError):
            value, is_plain = template(_unquoted(written.strip()), known, lost), True
        if named:
            keywords.append((named[1], value))
        else:
            positional.append(value)
    whole = template(_unquoted(text.strip()), known, lost) if is_plain else None
    return Arguments(tuple(positional), tuple(keywords), whole, is_plain)


def _split(text: str) -> list[str]:
    """Cut at the commas that stand in no bracket and no quoted text."""
    brackets, pieces, start = Brackets(), [], 0
    for index, character in enumerate(text):
        if character == "," and brackets.depth <= 0 and not brackets.quote:
            pieces.append(text[start:index])
            start = index + 1
        brackets.feed(character)
    last = text[start:]
    return [*pieces, last] if last.strip() else pieces  # a comma may end the list


def _unquoted(text: str) -> str:
    """Drop the quotes around a text whose inner quotes were not escaped."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text[1:] if text[:1] in {"'", '"'} and text[0] not in text[1:] else text


class _Values:
    """Reads one value."""

    def __init__(self, text: str, known: Collection[int], lost: Collection[int]) -> None:
        self._text, self._known, self._lost, self._at = text, known, lost, 0

    def read(self) -> Any:
        value = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise _NoValue
        return value

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> Any:
        first = self._peek()
        if depth > _DEEPEST or not first:
            raise _NoValue
        if first in {"'", '"'}:
            return template(self._quoted(), self._known, self._lost)
        if first in "([":
            return self._sequence(first, depth)
        if first == "{":
            return self._mapping(depth)
        if first == "$":
            return self._reference()
        found = _NUMBER.match(self._text, self._at)
        if found is not None and len(found[0]) <= _MOST_DIGITS:
            self._at = found.end()
            is_whole = not set(found[0]) & set(".eE")
            return int(found[0]) if is_whole else float(found[0])
        word = _WORD.match(self._text, self._at)
        if word is None or word[0] not in _WORDS:
            raise _NoValue
        self._at = word.end()
        return _WORDS[word[0]]

    def _reference(self) -> Any:
        found = reference(self._text, self._at, self._known)
        if found is None:
            raise _NoValue
        ref, self._at = found
        return ref

    def _quoted(self) -> str:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            quote *= 3
        characters: list[str] = []
        self._at += len(quote)
        while self._at < len(self._text):
            if self._text.startswith(quote, self._at):
                self._at += len(quote)
                return "".join(characters)
            character = self._text[self._at]
            self._at += 1
            if character == "\\" and self._at < len(self._text):
                character = self._escaped()
            characters.append(character)
        raise _NoValue

    def _escaped(self) -> str:
        character = self._text[self._at]
        self._at += 1
        if character == "u":
            code = self._text[self._at : self._at + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", code) and not "d800" <= code.lower() <= "dfff":
                self._at += 4
                return chr(int(code, 16))
        if character in "\\'\"":
            return character
        return _ESCAPES.get(character, "\\" + character)

    def _sequence(self, opening: str, depth: int) -> Any:
        closing = {"(": ")", "[": "]"}[opening]
        self._at += 1
        values: list[Any] = []
        has_comma = False
        while self._peek() != closing:
            values.append(self._value(depth + 1))
            if self._peek() == ",":
                self._at += 1
                has_comma = True
            elif self._peek() != closing:
                raise _NoValue
        self._at += 1
        if opening == "[":
            return values
        return values[0] if len(values) == 1 and not has_comma else tuple(values)

    def _mapping(self, depth: int) -> dict[Any, Any]:
        self._at += 1
        pairs: dict[Any, Any] = {}
        while self._peek() != "}":
            key = self._value(depth + 1)
            if self._peek() != ":" or isinstance(key, list | dict):
                raise _NoValue
            self._at += 1
            value = self._value(depth + 1)
            try:
                pairs[key] = value
            except TypeError:  # a tuple with a list in it
                raise _NoValue from None
            if self._peek() == ",":
                self._at += 1
            elif self._peek() != "}":
                raise _NoValue
        self._at += 1
        return pairs
