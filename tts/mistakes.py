"""What is wrong with a value, in a user's words: the key or the value, and what would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.registry import Component, nearest
from tts.yaml_files import Location, Marks, located

__all__ = ["describe", "first_mistake"]

_WANTED: Final = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "path": "a path",
}
"""What would do, by the first word of the kind of a mistake."""
_LISTS: Final = {"list", "tuple", "set", "frozen"}
_MAPPINGS: Final = {"dict", "mapping", "model", "dataclass"}
_LIMITS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LONGEST: Final = 40
"""Characters of a value that are repeated in a message."""


def first_mistake(
    error: ValidationError, path: str, marks: Marks, model: type[Frozen], values: object
) -> ConfigError:
    """Return the error that points at the first mistake of a file.

    Args:
        error: What reading it as `model` raised.
        path: The file.
        marks: Where its values stand.
        model: What it was read as.
        values: Its values.
    """
    return located(describe(error, model, values), path, marks, _first(error)["loc"])


def describe(
    error: ValidationError, model: type[Frozen] | None = None, values: object = None
) -> str:
    """Return one line for the first mistake: which key or value, and what would do.

    Args:
        error: What pydantic found.
        model: What the values were read as; without it unknown keys have no hint.
        values: All of them.
    """
    first = _first(error)
    loc, kind = first["loc"], first["type"]
    name = _name(loc, values)
    if kind == "extra_forbidden":
        known = [key for key in _keys(model, loc[:-1], values) if key not in _at(values, loc[:-1])]
        return f"unknown key {name!r}" + (
            f"; {nearest(str(loc[-1]), tuple(known))}" if known else ""
        )
    if kind == "missing":
        return f"the key {name!r} is missing"
    if not loc and model is not None and kind.partition("_")[0] in _MAPPINGS:
        keys = [key for key, field in model.model_fields.items() if field.is_required()]
        return f"a {model.__name__.lower()} is a mapping with {_listed(keys, 'and')}"
    told = _told(first, _keys(model, loc, values))
    return f"{name}: {told}" if name else told


def _name(location: Location, values: object) -> str:
    """Return keys and indices with points between them; one value that is read as a list has none.

    >>> _name(("equal", 0), {"equal": "totals"}), _name(("equal", 0), {"equal": ["totals"]})
    ('equal', 'equal.0')
    """
    parts = list[str]()
    for key in location:
        if isinstance(key, str) or values is None or isinstance(values, list | tuple):
            parts.append(str(key))
        values = _step(values, key)
    return ".".join(parts)


def _first(error: ValidationError) -> ErrorDetails:
    """Return the first mistake; a key that is not known before one beside it that is missing."""
    every = error.errors()
    first = every[0]
    if first["type"] != "missing":
        return first
    beside = (each for each in every if each["loc"][:-1] == first["loc"][:-1])
    return next((each for each in beside if each["type"] == "extra_forbidden"), first)


def _told(first: ErrorDetails, keys: tuple[str, ...]) -> str:
    """Return what would do in a value's place, of which the keys are known if it has some."""
    kind, given, context = first["type"], first["input"], first.get("ctx", {})
    word = kind.partition("_")[0]
    if kind in _LIMITS:
        limit, how = _LIMITS[kind]
        return f"give {how} {context[limit]:,.15g}, not {_shown(given)}"
    if kind in {"too_short", "string_too_short"} and not given:
        return f"it is empty: give at least {'one' if context['min_length'] == 1 else 2}"
    if kind in {"literal_error", "enum"}:
        choices = context["expected"].replace(" or ", ", ").replace("'", "")
        return f"choose one of {choices}, not {_shown(given)}"
    if word in _LISTS and kind.endswith("_type"):
        return f"give a list, {_instead(given, '[{}]')}"
    if word in _MAPPINGS and kind.endswith("_type"):
        if keys:
            return f"give a mapping with {_listed(keys, 'or')}, not {_shown(given)}"
        return f"give a mapping, {_instead(given, '{{NAME: {}}}')}"
    if word in _WANTED and not kind.endswith(("_long", "_short", "_mismatch")):
        return f"give {_WANTED[word]}, not {_shown(given, secret=word == 'string')}"
    message = first["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _listed(words: tuple[str, ...] | list[str], last: str) -> str:
    """Return words as English lists them."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _instead(given: object, shape: str) -> str:
    """Return what to write for a value that stands alone, or what it is."""
    alone = isinstance(given, str | int | float)
    return f"such as {shape.format(_bare(given))}" if alone else f"not {_shown(given)}"


def _bare(given: object) -> str:
    return given if isinstance(given, str) and given.isidentifier() else _shown(given)


def _shown(given: object, *, secret: bool = False) -> str:
    """Return a value as YAML has it, short; where a text belongs, its kind: it may be secret."""
    if given is None:
        return "nothing"
    if isinstance(given, Mapping):
        return "a mapping"
    if isinstance(given, list | tuple):
        return "a list"
    if isinstance(given, bool):
        return str(given).lower()
    if not isinstance(given, str | int | float):
        return f"a {type(given).__name__}"
    if secret:
        return "a text" if isinstance(given, str) else "a number: quote it"
    told = repr(given)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."


def _keys(model: type[Frozen] | None, location: Location, values: object) -> tuple[str, ...]:
    """Return the keys that a mapping at a location may have; none where that is not known."""
    hint: Any = model
    for key in location:
        hint, values = _inside(hint, key, values), _step(values, key)
    shape = _shape(hint, values)
    if shape is None:
        return ()
    choice = (shape.choice,) if issubclass(shape, Component) else ()
    return (*choice, *shape.model_fields)


def _at(values: object, location: Location) -> Mapping[str, object]:
    for key in location:
        values = _step(values, key)
    return values if isinstance(values, Mapping) else {}


def _step(values: object, key: int | str) -> object:
    if isinstance(values, Mapping):
        return values.get(key)
    if isinstance(values, list | tuple) and isinstance(key, int) and key < len(values):
        return values[key]
    return None


def _shape(hint: Any, values: object) -> type[Frozen] | None:
    """Return the class of ours that a value of this type is read as."""
    for each in _alternatives(hint):
        if isinstance(each, type) and issubclass(each, Frozen):
            try:
                return each.shape_of(values)
            except ConfigError:  # of an unknown name
                return None
    return None


def _inside(hint: Any, key: int | str, values: object) -> Any:
    """Return the type of what stands under a key of a value of this type."""
    shape = _shape(hint, values)
    if shape is not None:
        field = shape.model_fields.get(str(key))
        return None if field is None else field.annotation
    for each in _alternatives(hint):
        if get_args(each):
            return get_args(each)[1 if isinstance(key, str) and len(get_args(each)) > 1 else 0]
    return None


def _alternatives(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in {Union, UnionType}:
        for each in get_args(hint):
            yield from _alternatives(each)
    elif get_origin(hint) is Annotated:
        yield from _alternatives(get_args(hint)[0])
    elif hint is not None:
        yield hint
