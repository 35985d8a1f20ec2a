"""The parameters of a tool: from a function's signature or a JSON Schema, each checked alone.

Each alone, because a plan's argument may be known long before the one beside it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from tts.docstrings import described
from tts.errors import ConfigError
from tts.json_schema import Schema, checked, kind, properties, required, resolved

__all__ = ["Parameter", "from_schema", "from_signature", "run_parameter", "to_schema"]

_MODE: Final = "validation"
_DEFINITIONS = ("$defs", "definitions")
_SHORT = 60


class Parameter(ABC):
    """One argument of a tool.

    Attributes:
        name: Its name.
        is_required: True if a call must give it.
        description: What it is, for the model; empty where nobody says.
        kind: Its type, for the tool's line in a prompt; empty where unknown.
        default: Its default as it stands in that line; empty where there is none.
    """

    def __init__(
        self, name: str, *, is_required: bool, kind: str, default: str = "", description: str = ""
    ) -> None:
        self.name, self.is_required, self.kind, self.default = name, is_required, kind, default
        self.description = description

    def __str__(self) -> str:
        typed = f"{self.name}: {self.kind}" if self.kind else self.name
        return f"{typed} = {self.default}" if self.default else typed

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """Its JSON Schema."""

    @property
    def definitions(self) -> Mapping[str, Any]:
        """What its schema refers to, as it must stand in the schema of all parameters."""
        return {}

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return the value as the function takes it.

        Raises:
            ValueError: If it does not fit; the message says what would.
        """


class _Typed(Parameter):
    """A parameter of a Python function. The validator is built when it is first needed."""

    def __init__(self, name: str, annotation: Any, default: Any, description: str) -> None:
        is_required = default is inspect.Parameter.empty
        kind = "" if annotation is Any else inspect.formatannotation(annotation)
        shown = "" if is_required else repr(default)
        super().__init__(
            name, is_required=is_required, kind=kind, default=shown, description=description
        )
        self._annotation = annotation

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Its validator."""
        # A class of the user's is checked by isinstance; a film may be called 300.
        config = ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=True)
        try:
            return TypeAdapter(self._annotation, config=config)
        except PydanticUserError:  # a model has a configuration of its own
            return TypeAdapter(self._annotation)

    @property
    def schema(self) -> Mapping[str, Any]:
        return self.adapter.json_schema() if _has_schema(self.adapter) else {}

    def check(self, value: Any) -> Any:
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"[{part!r}]" for part in first["loc"])
            message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
            raise ValueError(f"{place} {message}, got {_short(first['input'])}".strip()) from error


class _Described(Parameter):
    """A parameter of a JSON Schema, which may refer to other parts of the whole one."""

    def __init__(self, name: str, schema: Any, root: Schema, *, is_required: bool) -> None:
        said = resolved(schema, root)
        default = repr(said["default"]) if "default" in said else ""
        super().__init__(name, is_required=is_required, kind=kind(schema, root), default=default)
        self._schema: Schema = schema if isinstance(schema, Mapping | bool) else True
        self._root = root

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def definitions(self) -> Mapping[str, Any]:
        root = self._root if isinstance(self._root, Mapping) else {}
        return {name: root[name] for name in _DEFINITIONS if name in root}

    def check(self, value: Any) -> Any:
        return checked(value, self._schema, self._root)


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
    said = described(inspect.getdoc(function) or "")
    return tuple(
        _Typed(one.name, hints.get(one.name, Any), one.default, said.get(one.name, ""))
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


def from_schema(name: str, schema: object) -> tuple[Parameter, ...]:
    """Return the parameters that a JSON Schema of an object describes.

    Raises:
        ConfigError: If it describes something else.
    """
    root: Schema = schema if isinstance(schema, Mapping) else schema is not False
    said = resolved(root, root)
    kinds = kind(root, root).split(" or ")
    fields = properties(said)
    if root is False or not {"", "object", "dict"} & set(kinds):
        raise ConfigError(f"{name}: its parameters must be a schema of type object")
    if not fields and {"anyOf", "oneOf", "allOf"} & set(said):
        raise ConfigError(f"{name}: its schema must list the parameters under `properties`")
    needed = required(said)
    ordered = sorted(fields, key=lambda each: each not in needed)  # they go first by position
    unsaid = [each for each in needed if each not in fields]
    return tuple(
        _Described(each, fields.get(each, True), root, is_required=each in needed)
        for each in (*unsaid, *ordered)
    )


def to_schema(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the JSON Schema of an object with these parameters as fields.

    What they refer to stands at its root, where references look for it; types of one name are told
    apart.
    """
    listed = tuple(parameters)
    shown: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (one.name, _MODE, one.adapter)
        for one in listed
        if isinstance(one, _Typed) and _has_schema(one.adapter)
    ]
    schemas, shared = TypeAdapter.json_schemas(shown) if shown else ({}, {})
    fields = dict[str, Any]()
    for one in listed:
        schema = schemas.get((one.name, _MODE), {}) if isinstance(one, _Typed) else one.schema
        fields[one.name] = {**schema} if isinstance(schema, Mapping) else {}
        if one.description:
            fields[one.name].setdefault("description", one.description)
        for name, more in one.definitions.items():
            shared[name] = {**shared.get(name, {}), **more}
    needed = [one.name for one in listed if one.is_required]
    shared = {name: shared[name] for name in _DEFINITIONS if name in shared}
    return {"type": "object", "properties": fields, "required": needed, **shared}


def _has_schema(adapter: TypeAdapter[Any]) -> bool:
    """Return whether a type has a JSON Schema; a class of the user's has none."""
    try:
        adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return False
    return True
