"""Files of problems, as `tts run --input-file` reads them: JSON lines, a problem each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

from tts.errors import ConfigError
from tts.pipeline import Pipeline, read_text
from tts.problem import Problem

__all__ = ["read_problems"]

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
        raise ConfigError(_listed(mistakes), path=str(path), line=mistakes[0][0])
    if not problems:
        raise ConfigError("no problem in the file", path=str(path))
    return problems


def _listed(mistakes: list[_Mistake]) -> str:
    """Name the mistakes; the first one's line stands before the message."""
    first, *others = mistakes[:_MOST_NAMED]
    named = [first[1], *(f"line {number}: {message}" for number, message in others)]
    if len(mistakes) > _MOST_NAMED:
        named.append(f"and {len(mistakes) - _MOST_NAMED} more lines")
    return "; ".join(named)


def _problem(pipeline: Pipeline, line: str, number: int) -> Problem:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
        raise ConfigError(f"{_NO_JSON}: {reason}") from error
    if isinstance(row, str):
        row = {"input": row}
    key = next((key for key in _KEYS if isinstance(row, dict) and key in row), None)
    if key is None or not isinstance(row[key], str):
        raise ConfigError(f"a line is a string, or an object with one of {', '.join(_KEYS)}")
    name = row.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise ConfigError("an id is a text or a whole number")
    return pipeline.problem(row[key], id=number if name is None else name)
