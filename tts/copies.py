"""Results as values: what one tool does to a list that it was given is not seen by another."""

from __future__ import annotations

from typing import Any

__all__ = ["copied"]

_DEEPEST = 100


def copied(value: Any) -> Any:
    """Return a value whose nested lists, dictionaries, tuples and sets are nobody else's.

    Objects of all other classes, and what is nested deeper than 100, stay the same objects. What
    stands in several places, or within itself, does so in the copy: O(size), not O(as written out).

    >>> whole = [[1], {"a": (2,)}]
    >>> copied(whole) == whole, copied(whole)[0] is whole[0]
    (True, False)
    """
    return _copied(value, {}, 0)


def _copied(value: Any, made: dict[int, Any], depth: int) -> Any:
    kind = type(value)
    if kind not in {list, dict, tuple, set} or depth > _DEEPEST:
        return value
    if id(value) in made:
        return made[id(value)]
    if kind is tuple:
        made[id(value)] = tuple(_copied(part, made, depth + 1) for part in value)
        return made[id(value)]
    copy = made[id(value)] = kind()  # before its parts: one of them may be itself
    if kind is dict:
        copy.update((key, _copied(part, made, depth + 1)) for key, part in value.items())
    elif kind is set:
        copy.update(value)
    else:
        copy.extend(_copied(part, made, depth + 1) for part in value)
    return copy
