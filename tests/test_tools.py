from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any, Literal

import anyio
import jsonschema
import pytest
from pydantic import BaseModel, Field

from tts.errors import BudgetExceeded, ConfigError, ToolError
from tts.plans import Arguments, Call, bind
from tts.testing import virtual_run
from tts.threads import in_thread
from tts.tools import Tool, tool


class Place(BaseModel):
    name: str


async def search(
    query: str, k: Annotated[int, Field(ge=1)] = 3, *, kind: Literal["a", "b"] = "a"
) -> str:
    """Find pages.

    The rest of this is not for the model.
    """
    return f"{query} {k} {kind}"


SEARCH = Tool.of(search)


def call(one: Tool, **arguments: Any) -> Any:
    return virtual_run(lambda: one.call(arguments))


def test_a_function_describes_its_tool() -> None:
    assert SEARCH.name == "search"
    assert SEARCH.description == "Find pages."
    assert SEARCH.signature.startswith("search(query: str, k: ")
    assert SEARCH.definition["parameters"]["required"] == ["query"]
    assert SEARCH.definition["parameters"]["properties"]["kind"]["enum"] == ["a", "b"]


def test_arguments_are_checked_and_made_to_fit() -> None:
    assert call(SEARCH, query="x", k="2") == "x 2 a"


def test_a_pydantic_model_is_a_type_like_any_other() -> None:
    def name_of(place: Place) -> str:
        return place.name

    one = Tool.of(name_of, is_quick=True)
    assert call(one, place={"name": "Rome"}) == "Rome"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "it needs query"),
        ({"query": "x", "n": 1}, "it has no parameter 'n'; it has query, k, kind"),
        ({"query": ["x"]}, r"query: input should be a valid string, got \['x'\]"),
        ({"query": "x", "k": 0}, "k: input should be greater than or equal to 1, got 0"),
        ({"query": "x", "kind": "c"}, "kind: input should be 'a' or 'b', got 'c'"),
    ],
)
def test_wrong_arguments_are_told_and_not_tried_again(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ToolError, match=reason) as caught:
        call(SEARCH, **arguments)
    assert not caught.value.retryable


def test_what_a_function_raises_is_a_tool_error_with_its_cause() -> None:
    def fail() -> None:
        raise ZeroDivisionError("oh\nno")

    with pytest.raises(ToolError, match="fail: ZeroDivisionError: oh no") as caught:
        call(Tool.of(fail, is_quick=True))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_errors_of_the_library_pass_as_they_are() -> None:
    async def spend() -> None:
        raise BudgetExceeded("calls", spent=1, limit=1)

    with pytest.raises(BudgetExceeded):
        call(Tool.of(spend))


@pytest.mark.parametrize(
    "settings", [{"name": "a b"}, {"name": "join"}, {"timeout": 0.0}, {"attempts": 0}]
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Tool.of(search, **settings)


def test_functions_whose_arguments_have_no_names_are_refused() -> None:
    def many(*items: int) -> int:
        return len(items)

    def unknown(x: "Nothing") -> None:  # type: ignore[name-defined]  # noqa: F821, UP037  # the point
        del x

    for function in (many, unknown):
        with pytest.raises(ConfigError):
            Tool.of(function)


def test_the_decorator_takes_settings_or_none() -> None:
    @tool
    def one() -> int:
        return 1

    @tool(timeout=2.0, name="zwei")
    def two() -> int:
        return 2

    assert (one.name, two.name, two.timeout) == ("one", "zwei", 2.0)


DEFINITION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the\n weather.",
        "parameters": {
            "type": "object",
            "properties": {
                "days": {"type": "integer", "default": 1},
                "place": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"],
                },
                "units": {"type": ["string", "null"], "enum": ["C", "F", None]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["place"],
        },
    },
}


async def weather(**arguments: Any) -> Any:
    return arguments


WEATHER = Tool.from_definition(DEFINITION, weather)


def test_a_definition_describes_its_tool() -> None:
    assert WEATHER.signature == (
        "weather(place: object, days: integer = 1, units: string or null, tags: array): "
        "Tell the weather."
    )
    assert WEATHER.definition["parameters"]["required"] == ["place"]
    mcp = {"name": "weather", "inputSchema": DEFINITION["function"]["parameters"]}  # type: ignore[index]
    assert Tool.from_definition(mcp, weather).parameters[0].name == "place"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"place": "Rome"}, "place: must be object, got 'Rome'"),
        ({"place": {}}, "place: needs name"),
        ({"place": {"name": 3}}, "place: must be string"),
        ({"place": {"name": "Rome"}, "days": True}, "days: must be integer"),
        ({"place": {"name": "Rome"}, "days": 1.5}, "days: must be integer"),
        ({"place": {"name": "Rome"}, "units": "K"}, "units: must be one of"),
        ({"place": {"name": "Rome"}, "tags": [1]}, "tags: must be string"),
    ],
)
def test_arguments_are_checked_by_their_schema(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        call(WEATHER, **arguments)


def test_arguments_that_fit_their_schema_pass() -> None:
    arguments = {"place": {"name": "Rome"}, "days": 2.0, "units": None, "tags": ["a"]}
    assert call(WEATHER, **arguments) == arguments


@pytest.mark.parametrize("parameters", [None, {}, True, False, {"type": ["object", "null"]}])
def test_a_definition_may_have_no_parameters(parameters: object) -> None:
    one = Tool.from_definition({"name": "f", "parameters": parameters}, weather)
    assert (one.parameters, call(one)) == ((), {})


def test_any_schema_of_a_parameter_is_one() -> None:
    schema = {
        "$defs": {"Day": {"type": "integer"}},
        "$ref": "#/$defs/Arguments",
        "definitions": {"Unit": {"enum": ["C", "F"]}},
    }
    schema["$defs"]["Arguments"] = {  # type: ignore[index]  # a mapping
        "type": ["object", "null"],
        "properties": {
            "any": True,
            "day": {"$ref": "#/$defs/Day"},
            "unit": {"$ref": "#/definitions/Unit", "default": "C"},
        },
        "required": ["day", "unsaid"],
    }
    one = Tool.from_definition({"name": "f", "parameters": schema}, weather)
    assert one.signature == "f(unsaid, day: integer, any, unit = 'C')"
    with pytest.raises(ToolError, match="day: must be integer"):
        one.check_values({"day": "today"})
    with pytest.raises(ToolError, match="unit: must be one of"):
        one.check_values({"unit": "K"})
    whole = one.definition["parameters"]
    jsonschema.Draft202012Validator.check_schema(whole)
    oracle = jsonschema.Draft202012Validator(whole)
    assert oracle.is_valid({"day": 1, "unsaid": 2, "any": []})
    assert not oracle.is_valid({"day": "x", "unsaid": 2})
    none_needed = {**schema, "$ref": None, "properties": {"a": None}, "required": None}
    assert (
        not Tool.from_definition({"name": "f", "parameters": none_needed}, weather)
        .parameters[0]
        .is_required
    )


class Leg(BaseModel):
    """A part of a way."""

    place: Place
    next: Leg | None = None


def other_place() -> type[BaseModel]:
    class Place(BaseModel):
        number: int

    return Place


OtherPlace = other_place()


class Custom:
    """A class without a schema."""


def test_nested_models_refer_to_what_is_there() -> None:
    def travel(leg: Leg, home: Place, work: OtherPlace, bag: Custom) -> str:  # type: ignore[valid-type]  # made above
        """Travel."""
        return leg.place.name

    travel.__annotations__["work"] = OtherPlace
    one = Tool.of(travel, is_quick=True)
    whole = one.definition["parameters"]
    jsonschema.Draft202012Validator.check_schema(whole)
    oracle = jsonschema.Draft202012Validator(whole)
    rome: dict[str, Any] = {"place": {"name": "Rome"}, "next": {"place": {"name": "Ostia"}}}
    good = {"leg": rome, "home": {"name": "Rome"}, "work": {"number": 3}, "bag": 1}
    assert oracle.is_valid(good)
    assert not oracle.is_valid({**good, "work": {"name": "Rome"}})
    assert not oracle.is_valid({**good, "leg": {"place": {"name": 3}}})
    assert all("$defs" not in field for field in whole["properties"].values())
    assert call(one, **{**good, "bag": Custom()}) == "Rome"


def test_the_docstring_describes_the_parameters() -> None:
    def find(query: str, k: Annotated[int, Field(description="How many.")] = 3) -> None:
        """Find pages.

        Args:
            query: What to
                look for.
            k: Not this.
        """

    fields = Tool.of(find).definition["parameters"]["properties"]
    assert fields["query"]["description"] == "What to look for."
    assert fields["k"]["description"] == "How many."


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"name": 3},
        {"name": "f", "parameters": {"type": "array"}},
        {"name": "f", "parameters": {"anyOf": [{"properties": {"a": True}}]}},
    ],
)
def test_what_is_no_definition_is_refused(definition: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Tool.from_definition(definition, weather)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "a"),
        (1.5, "1.5"),
        ({"é": [None]}, '{"é": [null]}'),
        ({1}, "{1}"),
        ("x" * 12, "x" * 10),
    ],
)
def test_results_are_shown_as_text_or_json_and_cut(value: Any, shown: str) -> None:
    one = Tool(name="t", function=search, longest=10 if shown.startswith("x") else 100)
    assert one.show(value).startswith(shown)


def test_a_function_that_blocks_runs_in_a_thread_that_nobody_waits_for() -> None:
    release, entered = threading.Event(), threading.Event()

    def block() -> bool:
        entered.set()
        return release.wait(60.0)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def cancel_when_entered() -> None:
                await in_thread(lambda: entered.wait(60.0))
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel_when_entered)
            await Tool.of(block).call({})

    anyio.run(main)
    workers = [one for one in threading.enumerate() if one.name == "tts block"]
    assert [one.daemon for one in workers] == [True]
    release.set()
    workers[0].join()


def test_what_a_thread_raises_comes_out() -> None:
    def fail() -> None:
        raise KeyError("k")

    with pytest.raises(KeyError):
        anyio.run(in_thread, fail)


def test_a_number_is_a_text_where_one_is_wanted() -> None:
    def search(query: str, k: int | str = 1) -> str:
        return f"{query} {k!r}"

    assert Tool.of(search).check_values({"query": 300, "k": 7}) == {"query": "300", "k": 7}
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    told = Tool.from_definition({"name": "search", "parameters": schema}, search)
    assert told.check_values({"query": 1917}) == {"query": "1917"}
    with pytest.raises(ToolError):
        Tool.of(search).check_values({"query": True})


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"x": [1, "a"]}, {"x": [1, "a"]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({1: "a"}, {"1": "a"}, False),
        ((1, 2), [1, 2], False),
        (1, True, False),
        (1, 1.0, False),
    ],
)
def test_what_makes_two_calls_the_same(one: object, other: object, is_same: bool) -> None:
    def show(x: Any) -> str:
        return str(x)

    call = Call(1, "show", Arguments((0,), (), None, False), "show(0)", 1)
    bound = bind(call, {"show": Tool.of(show, is_pure=True)})
    assert (bound.key({"x": one}) == bound.key({"x": other})) is is_same
    assert bound.key({"x": object()}) is None


async def gone() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def test_a_cancellation_from_outside_is_none_from_within() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        with anyio.CancelScope() as scope:  # both at the same moment
            scope.cancel()
            await Tool.of(gone).call({})
        told += ["scope"] * scope.cancelled_caught
        with pytest.raises(ToolError, match="cancelled from within"):
            await Tool.of(gone).call({})
        with pytest.raises(TimeoutError):  # asyncio's own way
            await asyncio.wait_for(Tool.of(anyio.sleep_forever).call({}), 1.0)
        return told

    assert virtual_run(main) == ["scope"]
