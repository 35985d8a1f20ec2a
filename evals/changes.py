"""How a suite and its problems differ from what a run store was made with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tts.evals.records import Cell
from tts.evals.tasks.base import Example

__all__ = ["changed_problems", "changes"]

_AXES: Final = ("task", "model", "strategy", "budget", "seed")
_WIDEST: Final = 60
"""Characters of a value that is told in full."""
_ABSENT: Final = object()


def changes(before: Sequence[Cell], after: Sequence[Cell]) -> list[str]:
    """Tell what differs, a line each: settings that have changed, and what came or went.

    What decides no row, such as limits or how many problems a task takes, is no difference.

    Args:
        before: The cells that a store holds.
        after: Those of the suite.
    """
    if not before:
        return []
    old = {_place(cell): cell for cell in before}
    changed: dict[str, list[Cell]] = {}
    for cell in after:
        was = old.get(_place(cell))
        if was is not None and was.key != cell.key:
            for line in _settings(was.settings, cell.settings):
                changed.setdefault(line, []).append(cell)
    told = [f"{line} (of {_whose(cells, after)}; solved anew)" for line, cells in changed.items()]
    for axis in _AXES:
        held, wanted = (
            [*dict.fromkeys(getattr(c, axis) for c in each)] for each in (before, after)
        )
        told += [f"{axis} {value!r} is new" for value in wanted if value not in held]
        told += [f"{axis} {value!r} is left out" for value in held if value not in wanted]
    return told


def changed_problems(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Sequence[Example]]
) -> list[str]:
    """Tell which tasks have other problems than before, a line each, with how many.

    Args:
        before: The digests of each task's problems by their ids, as a store holds them.
        after: The problems of each task now. Tasks that are not in both are left to `changes`.
    """
    told = []
    for task, examples in after.items():
        old, new = before.get(task, {}), {each.id: each.digest for each in examples}
        counts = {
            "changed (solved anew)": sum(
                old.get(one, digest) != digest for one, digest in new.items()
            ),
            "added": len(new.keys() - old.keys()),
            "removed (left out of the figures)": len(old.keys() - new.keys()),
        }
        some = [f"{count} {what}" for what, count in counts.items() if count]
        if old and some:
            told.append(f"problems of task {task!r}: {', '.join(some)}")
    return told


def _place(cell: Cell) -> tuple[object, ...]:
    return tuple(getattr(cell, axis) for axis in _AXES)


def _whose(cells: Sequence[Cell], every: Sequence[Cell]) -> str:
    """Name what a change meets, along each axis on which it does not meet all."""
    met = []
    for axis in ("task", "model", "strategy"):
        names = list(dict.fromkeys(getattr(cell, axis) for cell in cells))
        if len(names) < len({getattr(cell, axis) for cell in every}):
            met.append(", ".join(names))
    return " on ".join(reversed(met)) or "all"


def _settings(old: object, new: object, path: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _settings(old.get(key, _ABSENT), new.get(key, _ABSENT), inner)
    elif old != new:
        yield f"{path} was {_value(old)}, is {_value(new)}"


def _value(value: Any) -> str:
    if value is _ABSENT:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
