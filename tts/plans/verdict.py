"""What the joiner decides: finish with an answer, or plan again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from string import whitespace
from typing import Any, Literal

__all__ = ["Verdict", "read_verdict"]

_ACTION = re.compile(r"(?:action\s*:[\s*_`]*)?(finish|replan)\b[*_`]*\s*(?=[(:]|$)", re.IGNORECASE)
_DECORATION = whitespace + "*_`>-"
_FENCE = "```"
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


def read_verdict(text: str) -> Verdict:
    """Read a joiner's reply: JSON, or `Finish(...)`, `Finish: ...`, `Replan: ...`; the last counts.

    >>> read_verdict("Finish(First for Women (magazine))")
    Verdict(action='finish', text='First for Women (magazine)')
    """
    for candidate in (text, *reversed(text.split(_FENCE))):
        verdict = _from_json(candidate)
        if verdict is not None:
            return verdict
    found = _last_action(text)
    if found is None:
        return Verdict("unreadable", text.strip())
    action, rest = found
    said = _balanced(rest[1:]) if rest.startswith("(") else _line(rest.removeprefix(":"))
    return Verdict("finish" if action == "finish" else "replan", _bare(said))


def _last_action(text: str) -> tuple[str, str] | None:
    """Return the last action that a line begins with, and the text behind it."""
    last, at = None, 0
    for line in text.split("\n"):  # by lines: one pattern for all takes time as their square
        bare = line.lstrip(_DECORATION)
        action = _ACTION.match(bare)
        if action is not None:
            last = (action[1].lower(), at + len(line) - len(bare) + action.end())
        at += len(line) + 1
    return None if last is None else (last[0], text[last[1] :].lstrip())


def _from_json(text: str) -> Verdict | None:
    written = text.strip().removeprefix("json").lstrip()
    if not written.startswith("{"):
        return None
    try:
        value: Any = json.loads(written)
    except (ValueError, RecursionError):
        return None
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
    value = next((named[key] for key in keys if key in named), "")
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _balanced(text: str) -> str:
    """Return the text up to the parenthesis that closes the one before it."""
    depth = 1
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:index]
    return text


def _line(text: str) -> str:
    """Return the rest of the line, or the next one that says something."""
    return next((line for line in text.splitlines() if line.strip()), "")


def _bare(text: str) -> str:
    text = text.strip()
    while len(text) >= 2 and _PAIRS.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
