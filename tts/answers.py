"""From a completion's text to an answer that can be counted.

Three steps: *extract* the answer from the text (or abstain), bring it into *canonical* form (the
key under which it is counted), and ask whether two keys are *equivalent*.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tts.canonical import (
    LETTER,
    NOT_UNITS,
    NUMBER,
    bare_answer,
    canonical,
    joined_groups,
    rational,
    unassigned,
)
from tts.equivalence import equivalent
from tts.frozen import Frozen
from tts.program_blocks import last_program

__all__ = ["AnswerFormat", "Pattern", "canonical", "equivalent"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern: TypeAlias = Annotated[str, AfterValidator(_compiles)]
"""A setting that is a regular expression."""

_MARKER = re.compile(
    r"(?i)\banswer\b[ \t*_]*(?:is\b[ \t*_]*(?P<late>:)?|[:=])|^####(?=[ \t])", re.M
)
_LINE_START = re.compile(r"[\s#>*_-]*(?:the )?(?:final )?", re.IGNORECASE)
_BRACE = re.compile(r"(\\f?boxed\s*\{)|\\.|([{}])", re.DOTALL)
_SOMETHING = re.compile(r"[^\s.,:;!?*_~`'\"$#|(){}\[\]\\–—-]")
_PROSE_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_REMARK = re.compile(
    r"[,;]?\s+(?:because|since|as)\b|,\s*(?:so|which|hence|thus|therefore)\b|[.;]\s|"
    r"\s\((?!\s*mod\b)(?=[^()]*(?:=|[A-Za-z]{4}))"
)
_LAST_NUMBER = re.compile(rf"(?<![\w.])\$?((?:{NUMBER})(?:/\d+)?\s?%?)")
_FIRST_NUMBER = re.compile(r"(?<![\w.])[-+−]?\s?[$€£]?(?:\d|\.\d)")
_HEDGE = re.compile(r"(?:[^\W\d_]|[\s,:'’~≈$])*|\s*\\approx\s*")
_OPTION = re.compile(
    r"\(([A-J])\)|(?i:\b(?:option|choice)(?: is)?:? )([A-J])\b(?!['’])|"
    r"\bis:?[ \t]+([A-HJ])(?=[.)!]?[ \t]*$)",
    re.MULTILINE,
)
_LEADING_LETTER = re.compile(
    r"\(?([A-Ja-j])(?:\)|[.:](?!\w)|\s*$|\s+[–—-]\s|,(?!\s*\(?[A-Ja-j]\b))|"
    r"([B-HJ])(?=\s+(?!(?:and|or|nor|to)\b)\w|\s*[–—(-])"
)
_LETTER_INSIDE = re.compile(r"\(([A-J])\)|(?<![\w'’])([B-HJ]\b|[AI](?=[.)!]*\s*$))(?!['’])")
_MARKDOWN = re.compile(r"[*_`$]|\\[()\[\]]")


class AnswerFormat(Frozen):
    r"""How to find the answer in a completion.

    * ``auto``: the marked answer; without one, the last number.
    * ``number``: the marked answer if it is one number; without one, the last number.
    * ``choice``: a letter A to J, marked, in parentheses or after "option".
    * ``text``: the marked answer, else the last line.
    * ``program``: the last fenced block of Python that defines a function or a class; of these the
      last in which ``pattern`` is found, if there is one.
    * ``pattern``: with the other kinds, the last match of a regular expression: its group `answer`,
      else its first group, else the whole match.

    Marked is what stands in the last ``\boxed{...}``, or behind a later line's ``Answer:``; without
    a box, behind the last ``answer:``, ``answer is`` or ``####``.
    """

    kind: Literal["auto", "number", "choice", "text", "program"] = "auto"
    pattern: Pattern | None = None
    """A regular expression that replaces the rules of `kind`; that of `program` it makes finer."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = list(get_args(cls.model_fields["kind"].annotation))
        return {"anyOf": [{"enum": kinds}, super().__get_pydantic_json_schema__(schema, handler)]}

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
        if self.kind == "program":
            return last_program(text, self.pattern)
        if self.pattern is not None:
            return _last_match(self.pattern, text)
        marked = _marked(text)
        if self.kind == "choice":
            return _choice(marked, text, complete=complete)
        if marked or not complete:
            return _one_number(marked) if marked and self.kind == "number" else marked
        if self.kind == "text":
            return text.strip().rpartition("\n")[2].strip() or None
        return _last_number(text)


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
    """The answer announced as one, by a box or by `Answer:`."""
    place, boxed = _boxed(text)
    for marker in reversed(list(_MARKER.finditer(text, max(place, 0)))):
        if boxed is None or _begins_line(text, marker):
            found = _announced(text, marker)
            if found:
                return found
    return boxed


def _boxed(text: str) -> tuple[int, str | None]:
    """The last box that says something, and where it begins."""
    opened: list[tuple[int, int] | None] = []
    found: list[tuple[int, int, int]] = []
    for match in _BRACE.finditer(text):
        if match[1] or match[2] == "{":
            opened.append((match.start(), match.end()) if match[1] else None)
        elif match[2] and opened and (box := opened.pop()):
            found.append((*box, match.start()))
    for place, start, end in sorted(found, reverse=True):
        if _SOMETHING.search(text, start, end):
            return place, text[start:end].strip()
    return -1, None


def _begins_line(text: str, marker: re.Match[str]) -> bool:
    if marker[0] == "####":
        return True
    nearby = max(0, marker.start() - 40)
    start = text.rfind("\n", nearby, marker.start()) + 1 or nearby
    colon = marker["late"] or not marker[0].rstrip("*_ \t").lower().endswith("is")
    return colon and _LINE_START.fullmatch(text, start, marker.start()) is not None


def _announced(text: str, marker: re.Match[str]) -> str | None:
    """What a marker announces: the rest of its line, or behind a colon a value on a later one."""
    start, end = marker.end(), _line_end(text, marker.end())
    heading = marker[0] == "####"
    something = _SOMETHING.search(text, start, end if heading else len(text))
    if something is None:
        return None
    if something.start() > end:
        start = text.rfind("\n", start, something.start()) + 1
        end = _line_end(text, start)
    content = _without_remark(text[start:end].strip("*_ \t\r:").rstrip("*_. \t\r"))
    if heading:  # or a Markdown heading; that has something below it
        return content if _is_number(content) or not _SOMETHING.search(text, end) else None
    if start == marker.end():
        return content
    if not (marker["late"] or marker[0].endswith(":")) or _MARKER.search(text, start, end):
        return None
    return content if _is_number(content) or len(_PROSE_WORD.findall(content)) <= 3 else None


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_number(text: str) -> bool:
    return rational(unassigned(bare_answer(text))) is not None


def _without_remark(content: str) -> str:
    """Cut `5 (since 2+3 = 5)` behind the 5; only a number is parted from what follows."""
    for remark in _REMARK.finditer(content, 0, 200):
        if _is_number(content[: remark.start()]):
            return content[: remark.start()]
    return content


def _one_number(marked: str) -> str | None:
    """The number that a marked answer is: with words before it or a unit behind, but no more."""
    bare = bare_answer(_without_remark(marked))
    if rational(bare) is not None:
        return marked if bare == bare_answer(marked) else bare
    names, _, value = bare.rpartition("=")
    if names and not (re.search(r"\d", names) and re.search(r"[A-Za-z]", names)):
        bare = value.strip()
    number = _FIRST_NUMBER.search(bare)
    if number is None or not _HEDGE.fullmatch(bare, 0, number.start()):
        return None
    words = re.findall(r"\w+", bare[: number.start()].casefold())
    found = bare_answer(_without_remark(bare[number.start() :]))
    return None if any(map(NOT_UNITS.fullmatch, words)) or rational(found) is None else found


def _last_number(text: str) -> str | None:
    numbers = _LAST_NUMBER.findall(joined_groups(text))
    return numbers[-1].strip() if numbers else None


def _choice(marked: str | None, text: str, *, complete: bool) -> str | None:
    """The letter chosen: the marked one, the first line if it is a letter, or the last option."""
    letters = _letters(marked) if marked else set()
    if letters:
        return letters.pop() if len(letters) == 1 else None
    text = _MARKDOWN.sub("", text).strip()
    first, below, _ = text.partition("\n")
    alone = LETTER.fullmatch(first.strip().rstrip(".)"))
    if alone and (complete or below):
        return alone[1].upper()
    options = _OPTION.findall(text) if complete else []
    return "".join(options[-1]) if options else None


def _letters(marked: str) -> set[str]:
    """The choice letters that a marked answer names; the words I and A in a sentence are none."""
    marked = _MARKDOWN.sub("", bare_answer(_MARKDOWN.sub("", marked))).strip()
    if leading := _LEADING_LETTER.match(marked):
        return {(leading[1] or leading[2]).upper()}
    return {first or second for first, second in _LETTER_INSIDE.findall(marked)}
