"""What the joiner decides: finish with an answer, or plan again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from string import whitespace
from typing import Any, Literal

__all__ = ["Verdict", "read_verdict"]

_ACTION = re.compile(r"(?:action\s*:[\s*_`]*)?(finish|replan)\b[*_`]*\s*(?=[(:[]|$)", re.IGNORECASE)
_DECORATION = whitespace + "*_`>-"
_DECODER = json.JSONDecoder()
_CLOSING = {"(": ")", "[": "]"}
_PAIRS = {"'": "'", '"': '"', "`": "`", "“": "”"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a joiner said.

    Attributes:
        action: `unreadable` where neither was named; then `text` is all that was said.
        text: The answer, or what is missing.
    """

    action: Literal["finish", "replan", "unreadable"]
    text: str


def read_verdict(text: str, *, is_whole: bool = True) -> Verdict:
    """Read a joiner's reply: `Finish(...)`, `Finish: ...`, `Replan: ...`, or JSON; the last counts.

    Each stands at the beginning of a line.

    Args:
        text: The reply.
        is_whole: False if it was cut off; an action that it ends within is then none.

    >>> read_verdict("Finish(First for Women (magazine))")
    Verdict(action='finish', text='First for Women (magazine)')
    """
    last: Verdict | tuple[str, int] | None = None
    at = skip = 0
    for line in text.split("\n"):  # by lines: one pattern for all takes time as their square
        bare = line.lstrip(_DECORATION).removeprefix("json").lstrip()
        start = at + len(line) - len(bare)
        at += len(line) + 1
        if start < skip:  # within an object
            continue
        action = _ACTION.match(bare)
        if action is not None:
            last = (action[1].lower(), start + action.end())
        elif bare.startswith("{"):
            value, skip = _object(text, start)
            last = _from_json(value) or last
    if isinstance(last, tuple):
        last = _of_action(last[0], text[last[1] :].lstrip(), is_whole=is_whole)
    return last or Verdict("unreadable", text.strip())


def _of_action(name: str, rest: str, *, is_whole: bool) -> Verdict | None:
    """Return what an action says, given the text behind its name; None if it is cut off."""
    if rest[:1] in {*_CLOSING}:
        said, is_closed = _bracketed(rest)
    else:
        said, is_closed = _line(rest.removeprefix(":"))
    if not (is_whole or is_closed):
        return None
    return Verdict("finish" if name == "finish" else "replan", _bare(said))


def _object(text: str, start: int) -> tuple[Any, int]:
    """Return the JSON object that begins there and where it ends; None if there is none."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start


def _from_json(value: Any) -> Verdict | None:
    if not isinstance(value, dict):
        return None
    named = {str(key).lower(): part for key, part in value.items()}
    action = str(named.get("action", "")).lower()
    if action == "finish" or (not action and "finish" in named):
        return Verdict("finish", _said(named, "answer", "finish"))
    if action == "replan" or (not action and "replan" in named):
        return Verdict("replan", _said(named, "feedback", "reason", "missing", "replan"))
    return None


def _said(named: dict[str, Any], *keys: str) -> str:
    value = next((named[key] for key in keys if named.get(key) is not None), "")
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bracketed(text: str) -> tuple[str, bool]:
    """Return what stands in the bracket that a text begins with, and whether it is closed.

    Where more are closed than opened, as in `(1) this 2) that)`, the last of the line closes it.
    """
    opening, closing = text[0], _CLOSING[text[0]]
    index = _closes(text, opening, closing)
    if index is None:
        return text[1:], False
    line = (text[:index] + text[index:].partition("\n")[0]).rstrip()
    if line.count(closing) > line.count(opening) and line.endswith(closing):
        return line[1:-1], True
    return text[1:index], True


def _closes(text: str, opening: str, closing: str) -> int | None:
    """Return where the bracket that a text begins with is closed."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth == 0:
            return index
    return None


def _line(text: str) -> tuple[str, bool]:
    """Return the rest of the line, or the next one that says something; and whether it ended."""
    lines = text.split("\n")
    place = next((at for at, line in enumerate(lines) if line.strip()), len(lines) - 1)
    return lines[place], place < len(lines) - 1


def _bare(text: str) -> str:
    text = text.strip()
    while len(text) >= 2 and _PAIRS.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
