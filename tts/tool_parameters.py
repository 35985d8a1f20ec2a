"""The parameters of a tool: from a function's signature or a JSON Schema, each checked alone.

Each alone, because a plan's argument may be known long before the one beside it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from tts.errors import ConfigError

__all__ = ["Parameter", "from_schema", "from_signature", "run_parameter"]

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
_SHORT = 60


class Parameter(ABC):
    """One argument of a tool.

    Attributes:
        name: Its name.
        is_required: True if a call must give it.
        kind: Its type, for the tool's line in a prompt; empty where unknown.
        default: Its default as it stands in that line; empty where there is none.
    """

    def __init__(self, name: str, *, is_required: bool, kind: str, default: str = "") -> None:
        self.name, self.is_required, self.kind, self.default = name, is_required, kind, default

    def __str__(self) -> str:
        typed = f"{self.name}: {self.kind}" if self.kind else self.name
        return f"{typed} = {self.default}" if self.default else typed

    @property
    @abstractmethod
    def schema(self) -> Mapping[str, Any]:
        """Its JSON Schema."""

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return the value as the function takes it.

        Raises:
            ValueError: If it does not fit; the message says what would.
        """


class _Typed(Parameter):
    """A parameter of a Python function. The validator is built when it is first needed."""

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        is_required = default is inspect.Parameter.empty
        kind = "" if annotation is Any else inspect.formatannotation(annotation)
        shown = "" if is_required else repr(default)
        super().__init__(name, is_required=is_required, kind=kind, default=shown)
        self._annotation = annotation

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        # A class of the user's is checked by isinstance; a film may be called 300.
        config = ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=True)
        try:
            return TypeAdapter(self._annotation, config=config)
        except PydanticUserError:  # a model has a configuration of its own
            return TypeAdapter(self._annotation)

    @property
    def schema(self) -> Mapping[str, Any]:
        return self._adapter.json_schema()

    def check(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"[{part!r}]" for part in first["loc"])
            message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
            raise ValueError(f"{place} {message}, got {_short(first['input'])}".strip()) from error


class _Described(Parameter):
    """A parameter of a JSON Schema; types, enums and nesting are checked, nothing finer."""

    def __init__(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> None:
        kind = schema.get("type", "")
        shown = kind if isinstance(kind, str) else " or ".join(map(str, kind))
        default = repr(schema["default"]) if "default" in schema else ""
        super().__init__(name, is_required=is_required, kind=shown, default=default)
        self._schema = schema

    @property
    def schema(self) -> Mapping[str, Any]:
        return self._schema

    def check(self, value: Any) -> Any:
        if self.kind == "string" and type(value) in {int, float}:
            value = str(value)
        _check(value, self._schema)
        return value


def _check(value: Any, schema: Mapping[str, Any]) -> None:
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds or []
    if names and not any(_is(value, name) for name in names):
        raise ValueError(f"must be {' or '.join(names)}, got {_short(value)}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"must be one of {schema['enum']}, got {_short(value)}")
    if isinstance(value, list | tuple) and isinstance(schema.get("items"), Mapping):
        for part in value:
            _check(part, schema["items"])
    if isinstance(value, dict):
        lacking = [name for name in schema.get("required", ()) if name not in value]
        if lacking:
            raise ValueError(f"needs {', '.join(lacking)}")
        properties = schema.get("properties", {})
        for name, part in value.items():
            _check(part, properties.get(name, {}))


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(name, (object,)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def from_signature(name: str, function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the parameters of a function.

    Raises:
        ConfigError: If arguments cannot be given to it by name.
    """
    try:
        signature = inspect.signature(function)
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"{name}: its signature cannot be read: {error}") from error
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    bad = [one.name for one in signature.parameters.values() if one.kind not in named]
    if bad:
        raise ConfigError(f"{name}: {', '.join(bad)} cannot be given by name: a tool needs that")
    return tuple(
        _Typed(one.name, hints.get(one.name, Any), one.default)
        for one in signature.parameters.values()
        if not _is_run(hints.get(one.name))
    )


def run_parameter(function: Callable[..., Any]) -> str:
    """Return the name of the parameter that takes the run; empty if there is none."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError, ValueError):  # an object of another kind, or a name unknown here
        return ""
    return next((name for name, hint in hints.items() if _is_run(hint)), "")


def _is_run(annotation: object) -> bool:
    return isinstance(annotation, type) and getattr(annotation, "is_given_to_tools", False)


def from_schema(name: str, schema: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters that a JSON Schema of an object describes.

    Raises:
        ConfigError: If it describes something else.
    """
    properties = schema.get("properties", {})
    is_object = schema.get("type", "object") in {"object", "dict"}
    if not is_object or not isinstance(properties, Mapping):
        raise ConfigError(f"{name}: its parameters must be a schema of type object")
    required: Sequence[str] = schema.get("required", ())
    ordered = sorted(properties, key=lambda each: each not in required)  # they go first by position
    return tuple(
        _Described(each, properties[each], is_required=each in required) for each in ordered
    )
