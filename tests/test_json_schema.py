"""Values against JSON Schemas, with the package `jsonschema` as oracle."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.json_schema import checked, kind

ROOT = {
    "$defs": {
        "count": {"type": "integer"},
        "a/b": {"type": "string"},
        "tree": {
            "type": "object",
            "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
            "additionalProperties": False,
        },
        "circle": {"$ref": "#/$defs/circle"},
        "again": {"allOf": [{"$ref": "#/$defs/again"}]},
    }
}


def fits(value: Any, schema: Any, root: Any = ROOT) -> bool:
    try:
        checked(value, schema, root)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, [1, None, {}], []),
        (False, [], [1, None]),
        ({"$ref": "#/$defs/count"}, [1, 2.0], ["x", True, 1.5]),
        ({"$ref": "#/$defs/a~1b"}, ["x", 3], [None]),
        ({"$ref": "#/$defs/count", "enum": [1]}, [1], [2]),
        ({"$ref": "#/$defs/tree"}, [{}, {"below": [{"below": []}]}], [{"beside": 1}, {"below": 1}]),
        ({"$ref": "#/$defs/circle"}, [1], []),
        ({"$ref": "#/$defs/gone"}, [1], []),
        ({"$ref": "https://example.org/schema"}, [1], []),
        ({"anyOf": [{"$ref": "#/$defs/count"}, {"type": "null"}]}, [1, None], ["x", []]),
        ({"oneOf": [{"type": "array"}, {"const": 1}], "nullable": True}, [[], 1, None], [2, "x"]),
        ({"allOf": [{"type": "integer"}, {"enum": [1, 2]}]}, [2], [3, "2"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, [{"a": 1}], [{"a": {}}]),
        ({"type": ["integer", "null"]}, [1, None], ["x"]),
        ({"type": "string", "required": True, "properties": None}, ["x"], [None]),
        ({"type": "array", "items": None, "required": None}, [[1, "x"]], [1]),
        ({"type": "object", "required": ["a", 3]}, [{"a": 1}], [{}]),
    ],
)
def test_values_fit_or_do_not(schema: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, schema)] == []
    assert [value for value in bad if fits(value, schema)] == []


def test_what_has_no_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    tree = {"items": {"$ref": "#"}, "type": "array"}
    with pytest.raises(ValueError, match="nested too deeply"):
        checked(endless, tree, tree)
    with pytest.raises(ValueError, match="nested too deeply"):
        checked(1, {"$ref": "#/$defs/again"}, ROOT)


def test_a_number_becomes_its_text_only_where_nothing_else_fits() -> None:
    assert checked(300, {"type": "string"}) == "300"
    assert checked(300, {"type": ["string", "integer"]}) == 300
    with pytest.raises(ValueError, match="must be one of"):
        checked(300, {"type": "string", "enum": ["a"]})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/$defs/count"}, "integer"),
        ({"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]}, "string or null"),
        ({"type": ["string", "null"]}, "string or null"),
        (True, ""),
        ({"$ref": "#/$defs/circle"}, ""),
    ],
)
def test_types_are_told_in_words(schema: Any, words: str) -> None:
    assert kind(schema, ROOT) == words


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(["integer", "number", "boolean", "null", "array", "object"])


def mapping(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "$ref": st.sampled_from(["#/$defs/count", "#/$defs/tree"]),
        },
    )


SCHEMAS = st.recursive(st.booleans() | TYPES.map(lambda name: {"type": name}), mapping)


@given(value=VALUES, schema=SCHEMAS)
def test_what_fits_is_what_the_oracle_says(value: Any, schema: Any) -> None:
    """No strings are asked for: there a number would be made to fit."""
    whole = {**ROOT, "$ref": "#/schema", "schema": schema}
    oracle = jsonschema.Draft202012Validator(whole)
    assert fits(value, {"$ref": "#/schema"}, whole) == oracle.is_valid(value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "items"),
                    *("required", "properties", "nullable", "additionalProperties"),
                    "patternProperties",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(value=ANYTHING, schema=ANYTHING, root=ANYTHING)
def test_no_schema_breaks_the_check(value: Any, schema: Any, root: Any) -> None:
    assert fits(value, schema, root) in {True, False}
    assert isinstance(kind(schema, root), str)
