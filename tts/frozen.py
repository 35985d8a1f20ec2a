"""The base of every value in the library: immutable, strict about keys, self-describing."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["Frozen"]


class Frozen(BaseModel):
    """A frozen model that refuses unknown keys, and values that only resemble their type.

    `true` or `"4"` is no integer. An integer is a float, a list a tuple, a string a path.

    The string under a field is its description in the JSON Schema, read when a schema is asked
    for: reading it at class creation would cost every import.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _make_strict(handler.resolve_ref_schema(schema), cls)
        return schema

    @classmethod
    def shape_of(cls, value: object) -> type[Frozen]:
        """Return the class whose keys a value has that is read as this one.

        Raises:
            ConfigError: If it names one that there is not.
        """
        return cls

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for base in cls.__mro__:
            if issubclass(base, Frozen):
                for name, text in _field_texts(base).items():
                    properties.get(name, {}).setdefault("description", text)
        return described


def _make_strict(schema: Any, model: type[Frozen]) -> None:
    """Make the numbers and booleans in a model's core schema strict.

    pydantic's own `strict` would refuse lists for tuples and mappings for models too.
    """
    if isinstance(schema, dict):
        if schema.get("cls", model) is not model:  # another class decides for itself
            return
        if schema.get("type") in {"bool", "float", "int"}:
            schema["strict"] = True
        for key, part in schema.items():
            if key not in {"default", "metadata", "serialization"}:
                _make_strict(part, model)
    elif isinstance(schema, list):
        for part in schema:
            _make_strict(part, model)


@lru_cache(maxsize=1024)
def _field_texts(model: type[Frozen]) -> Mapping[str, str]:
    """Return the strings under a class's fields; a schema asks for the same class many times."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError):  # built without a source file
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
