"""Values against JSON Schemas: types, enumerations, references, alternatives, nesting.

Nothing finer (lengths, ranges, patterns): whoever wrote the schema checks that himself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote

__all__ = ["Schema", "checked", "kind", "properties", "required", "resolved"]

Schema: TypeAlias = "Mapping[str, Any] | bool"
"""A JSON Schema; True lets anything pass and False nothing."""

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "dict": (dict,),  # as some function lists write it, and the next one
    "float": (int, float),
    "null": (type(None),),
}
_NOTHING: Mapping[str, Any] = {"enum": []}
_SHORT = 60
_MOST_REFERENCES = 32


def checked(value: Any, schema: Schema, root: Schema = True) -> Any:
    """Return a value that fits a schema. A number where only a text fits becomes its text.

    Args:
        value: As JSON has it, or with tuples for lists.
        schema: What it must fit.
        root: The document that references point into.

    Raises:
        ValueError: If it does not fit; the message says what would.
    """
    try:
        _check(value, schema, root)
    except ValueError:
        if type(value) in {int, float} and "string" in kind(schema, root).split(" or "):
            _check(str(value), schema, root)
            return str(value)
        raise
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return value


def kind(schema: Schema, root: Schema = True) -> str:
    """Return the types that a schema asks for, in words; empty where any will do.

    >>> kind({"anyOf": [{"type": "integer"}, {"type": "null"}]})
    'integer or null'
    """
    found = resolved(schema, root)
    names = _names(found)
    for one in [] if names else _alternatives(found):
        names += _names(resolved(one, root))
    return " or ".join(dict.fromkeys(names))


def resolved(schema: Any, root: Schema = True) -> Mapping[str, Any]:
    """Return what a schema says once its references are followed.

    What is no schema, or refers to what is not in the document, says nothing: anything fits.
    """
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            return _NOTHING if schema is False else {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        found = _referred(reference, root)
        schema = {**found, **beside} if isinstance(found, Mapping) else found
    return {}


def _referred(reference: str, root: Schema) -> Any:
    """Return what a reference points at; None where that is not in the document."""
    if not reference.startswith("#"):
        return None
    place: Any = root
    for part in unquote(reference[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, Mapping):
            place = place.get(name)
        elif isinstance(place, list) and name.isdecimal() and len(name) < 5:
            place = next(iter(place[int(name) :]), None)
        else:
            return None
    return place


def _check(value: Any, schema: Any, root: Schema) -> None:
    schema = resolved(schema, root)
    if schema is _NOTHING:
        raise ValueError("must be left out")
    names = _names(schema)
    if names and not any(_is(value, name) for name in names):
        raise ValueError(f"must be {' or '.join(names)}, got {_short(value)}")
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(allowed, list | tuple) and value not in allowed:
        raise ValueError(f"must be one of {_short(allowed)}, got {_short(value)}")
    for one in _listed(schema.get("allOf")):
        _check(value, one, root)
    if alternatives := _alternatives(schema):
        _check_any(value, alternatives, root)
    if isinstance(value, list | tuple):
        for part in value:
            _check(part, schema.get("items"), root)
    if isinstance(value, dict):
        _check_fields(value, schema, root)


def _check_any(value: Any, alternatives: Sequence[Any], root: Schema) -> None:
    reasons = []
    for one in alternatives:
        try:
            _check(value, one, root)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return
    raise ValueError(", or ".join(dict.fromkeys(reasons)))


def _check_fields(value: Mapping[Any, Any], schema: Mapping[str, Any], root: Schema) -> None:
    lacking = [name for name in required(schema) if name not in value]
    if lacking:
        raise ValueError(f"needs {', '.join(lacking)}")
    known = properties(schema)
    others = schema.get("additionalProperties")
    for name, part in value.items():
        if name in known:
            _check(part, known[name], root)
        elif "patternProperties" not in schema:
            if others is False:
                raise ValueError(f"has no {name!r}; it has {', '.join(known) or 'nothing'}")
            _check(part, others, root)


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an object with their schemas, as far as they are said."""
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def required(schema: Mapping[str, Any]) -> list[str]:
    """Return the fields that an object must have."""
    return [name for name in _listed(schema.get("required")) if isinstance(name, str)]


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    """Return the schemas of which one must fit; that it is one only is not checked."""
    found = [*_listed(schema.get("anyOf")), *_listed(schema.get("oneOf"))]
    return [*found, {"type": "null"}] if found and schema.get("nullable") is True else found


def _names(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of the types that fit."""
    given = schema.get("type")
    names = [one for one in _listed(given, given) if isinstance(one, str)]
    return [*names, "null"] if names and schema.get("nullable") is True else names


def _listed(given: Any, *otherwise: Any) -> Sequence[Any]:
    return given if isinstance(given, list | tuple) else otherwise


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean" or name not in _KINDS
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(name, (object,)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
