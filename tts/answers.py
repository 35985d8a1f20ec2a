"""From a completion's text to an answer that can be counted.

Three steps: *extract* the answer from the text (or abstain), bring it into *canonical* form (the
key under which it is counted), and ask whether two keys are *equivalent*.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal

from pydantic import field_validator, model_validator

from tts.canonical import LETTER, NUMBER, bare_answer, canonical, rational
from tts.equivalence import equivalent
from tts.frozen import Frozen

__all__ = ["AnswerFormat", "canonical", "equivalent"]

_MARKER = re.compile(r"(?im)\banswer\b[\s*_]*(?:is\b|:|=)[ \t*_:]*(\S.*)$")
_BOXED = re.compile(r"\\f?boxed\s*\{")
_LAST_NUMBER = re.compile(rf"(?<![\w.])\$?((?:{NUMBER})(?:/\d+)?\s?%?)")
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
    if rational(bare_answer(text)) is not None:
        return text
    numbers = _LAST_NUMBER.findall(text)
    return numbers[-1].strip() if numbers else None


def _choice(marked: str | None, text: str) -> str | None:
    if marked and (letter := LETTER.search(bare_answer(marked))):
        return letter[1]
    options = _OPTION.findall(text)
    if options:
        return "".join(options[-1])
    return text.strip() if LETTER.fullmatch(text.strip()) else None
