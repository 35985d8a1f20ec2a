"""Files of problems, as `tts run --input-file` reads them: JSON lines, a problem each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from tts.errors import ConfigError
from tts.pipeline import Pipeline, read_text
from tts.problem import Problem

__all__ = ["listed", "read_problems"]

_KEYS = ("input", "problem", "question")
_MOST_NAMED = 20
_NO_JSON = "not JSON"
_PLAIN = (
    'plain text, and no line of it is JSON: write a problem a line as {"input": "..."}, '
    "or solve the file as one problem with --input - < FILE"
)
_Mistake: TypeAlias = tuple[int, str]


def read_problems(pipeline: Pipeline, path: Path) -> list[Problem]:
    """Read all problems before the first is solved: a bad line costs nothing.

    Raises:
        ConfigError: If the file cannot be read, or lines of it are no problems or have the id of
            an earlier one; it names them all, up to 20.
    """
    problems: list[Problem] = []
    mistakes: list[_Mistake] = []
    line_of: dict[str | int | None, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            problem = _problem(pipeline, line, number)
            earlier = line_of.setdefault(problem.id, number)
            if earlier != number:
                raise ConfigError(f"the id {problem.id!r} is that of line {earlier}")
            problems.append(problem)
        except ConfigError as error:
            mistakes.append((number, error.message))
    if mistakes and not problems and all(said.startswith(_NO_JSON) for _, said in mistakes):
        raise ConfigError(_PLAIN, path=str(path))
    if mistakes:
        raise ConfigError(listed(mistakes), path=str(path), line=mistakes[0][0])
    if not problems:
        raise ConfigError("no problem in the file", path=str(path))
    return problems


def listed(mistakes: Sequence[tuple[int, str]], most: int = _MOST_NAMED) -> str:
    """Tell what is wrong with lines, the same mistake once; the first line stands elsewhere.

    Args:
        mistakes: Lines, from 1, with what is wrong; at least one.
        most: How many mistakes, and how many lines of each, are named.

    >>> listed([(1, "not JSON"), (2, "no id"), (5, "not JSON"), (7, "not JSON")], most=2)
    'not JSON (lines 1, 5 and 1 more); line 2: no id'
    """
    lines: dict[str, list[int]] = {}
    for line, reason in mistakes:
        lines.setdefault(reason, []).append(line)
    (first, own), *others = list(lines.items())[:most]
    named = [f"{first} ({_named(own, most)})" if len(own) > 1 else first]
    named += [f"{_named(own, most)}: {reason}" for reason, own in others]
    left = len(mistakes) - sum(len(own) for own in list(lines.values())[:most])
    return "; ".join([*named, *([f"and {left} more lines"] if left else [])])


def _named(lines: Sequence[int], most: int) -> str:
    shown = ", ".join(map(str, lines[:most]))
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


def _problem(pipeline: Pipeline, line: str, number: int) -> Problem:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
        raise ConfigError(f"{_NO_JSON}: {reason}") from error
    except ValueError as error:
        raise ConfigError("a number has more digits than Python reads") from error
    if isinstance(row, str):
        row = {"input": row}
    key = next((key for key in _KEYS if isinstance(row, dict) and key in row), None)
    if key is None or not isinstance(row[key], str):
        raise ConfigError(f"a line is a string, or an object with one of {', '.join(_KEYS)}")
    name = row.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise ConfigError("an id is a text or a whole number")
    return pipeline.problem(row[key], id=number if name is None else name)
