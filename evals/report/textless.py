"""What a report shows that is to hold no text of problems or models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tts.evals.records import Row
from tts.evals.report.details import compact

__all__ = ["LEFT_OUT", "textless_result", "textless_settings"]

LEFT_OUT: Final = "[left out]"
"""Stands where a text was."""
_WORD: Final = re.compile(r"[\w./:@+-]{0,80}", re.ASCII)
_TEXTS: Final = {
    "prompts", "instruction", "pattern", "table", "description", "nudges",
    "base_url", "proxy", "extra", "headers",
}  # fmt: skip
"""Settings that are texts of whatever words, or tell of a house: servers, and who asks them."""
_ENDS: Final = "stop"
"""Texts that end a completion, where it is a list; else it is a stopping rule."""


def textless_result(row: Row) -> dict[str, Any]:
    """Return a row's numbers; an answer that was given is empty, and an error is not told."""
    return {**compact(row), "answer": None if row.answer is None else "", "error": None}


def textless_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without prompts and their like, and without any text that is no plain word.

    Names of components and models are plain words; a sentence needs no blanks in every language.

    >>> textless_settings({"prompts": {"solve": "Solve"}, "task": {"use": "x", "how": "简短回答"}})
    {'prompts': '[left out]', 'task': {'use': 'x', 'how': '[left out]'}}
    """
    return {name: _textless(value, name) for name, value in settings.items()}


def _textless(value: Any, name: str = "") -> Any:
    if name in _TEXTS and value:
        return LEFT_OUT
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else LEFT_OUT
    if isinstance(value, Mapping):
        named = all(_WORD.fullmatch(str(key)) for key in value)
        return {key: _textless(each, key) for key, each in value.items()} if named else LEFT_OUT
    if isinstance(value, list | tuple):
        if name == _ENDS:
            return [LEFT_OUT] * len(value)
        return [_textless(each) for each in value]
    return value
