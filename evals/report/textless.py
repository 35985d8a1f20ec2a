"""What a report shows that is to hold no text of problems or models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tts.evals.records import Row
from tts.evals.report.details import compact

__all__ = ["LEFT_OUT", "textless_result", "textless_settings"]

LEFT_OUT: Final = "[left out]"
"""Stands where a text was."""
_LONGEST: Final = 80
"""Characters of a word: names of models are long."""


def textless_result(row: Row) -> dict[str, Any]:
    """Return a row's numbers; an answer that was given is empty, and an error is not told."""
    return {**compact(row), "answer": None if row.answer is None else "", "error": None}


def textless_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without prompts, and without any text of more than one word.

    Instructions, prompts and what tools look up are texts of a user's problems; names of
    components and models are single words.

    >>> textless_settings({"prompts": {"solve": "Solve"}, "task": {"use": "x", "how": "Be brief."}})
    {'prompts': {'solve': '[left out]'}, 'task': {'use': 'x', 'how': '[left out]'}}
    """
    found = {name: _textless(value) for name, value in settings.items()}
    if "prompts" in found:
        found["prompts"] = dict.fromkeys(settings["prompts"], LEFT_OUT)
    return found


def _textless(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_word(value) else LEFT_OUT
    if isinstance(value, Mapping):
        named = all(_is_word(str(key)) for key in value)
        return {key: _textless(each) for key, each in value.items()} if named else LEFT_OUT
    if isinstance(value, list | tuple):
        return [_textless(each) for each in value]
    return value


def _is_word(text: str) -> bool:
    return len(text) <= _LONGEST and len(text.split()) <= 1
