"""The JSON Schemas that editors and callers get, against what the library itself writes."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.stopping.calibrations import CALIBRATION
from tts import (
    Pipeline,
    Problem,
    Provider,
    Run,
    Solution,
    StoppingRule,
    Strategy,
    Verifier,
    Vote,
    frozen,
    registry,
)
from tts.registry import Component
from tts.routing import Policy
from tts.toolboxes import Toolbox, allow_tools
from tts.workspaces import Workspace

ROOT = Path(__file__).parents[1]
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FAMILIES: list[type[Component]] = [
    Policy,
    Provider,
    StoppingRule,
    Strategy,
    Toolbox,
    Verifier,
    Vote,
    Workspace,
]
NEED_SETTINGS: dict[str, dict[str, Any]] = {
    "always": {"topology": "hybrid"},
    "function": {"function": "tts.testing.candidate"},
    "learned": {"measured": {"rows": []}},
    **{name: {"model": "m"} for name in ("anthropic", "gemini", "ollama", "transformers")},
    "lookup": {"table": {"a": 1}},
    "mcp": {"url": "http://localhost:8000/mcp"},
    "python": {"path": "tts.arithmetic.calculate"},
    "selective_allocation": {"tau": 0.3},
    "replay": {"cassette": "answers.jsonl"},
    "conformal": {"calibration": CALIBRATION.model_dump(mode="json")},
}
MEMBERS = [(family, name) for family in FAMILIES for name in family.names()]
PIPELINE = Draft202012Validator(Pipeline.model_json_schema())


def made(family: type[Component], name: str) -> Component:
    with allow_tools("tts.arithmetic"):
        return family.parse({family.choice: name, **NEED_SETTINGS.get(name, {})})


@pytest.mark.parametrize("model", [Pipeline, Solution])
def test_schema_is_valid(model: type[Any]) -> None:
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    assert meta.is_valid(model.model_json_schema())


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_settings_of_every_member_round_trip(family: type[Component], name: str) -> None:
    component = made(family, name)
    with allow_tools("tts.arithmetic"):
        assert family.parse(json.loads(json.dumps(component.settings()))) == component


@pytest.mark.parametrize("name", Strategy.names())
def test_pipeline_schema_accepts_every_strategy(name: str) -> None:
    pipeline = {"models": {"m": "reference"}, "strategy": made(Strategy, name).settings()}
    assert PIPELINE.is_valid(pipeline)
    assert PIPELINE.is_valid(pipeline | {"strategy": name})


@pytest.mark.parametrize("name", StoppingRule.names())
@pytest.mark.parametrize("vote", Vote.names())
def test_pipeline_schema_accepts_nested_members(name: str, vote: str) -> None:
    stop = {"use": name, **NEED_SETTINGS.get(name, {})}
    settings = Strategy.parse({"use": "self_consistency", "stop": stop, "vote": vote}).settings()
    assert PIPELINE.is_valid({"models": {"m": "reference"}, "strategy": settings})


@pytest.mark.parametrize("name", Verifier.names())
def test_pipeline_schema_accepts_every_verifier(name: str) -> None:
    verifier = {"use": name, **NEED_SETTINGS.get(name, {})}
    settings = Strategy.parse({"use": "best_of_n", "verifier": verifier}).settings()
    assert PIPELINE.is_valid({"models": {"m": "reference"}, "strategy": settings})


@given(samples=st.integers(-3, 3), key=st.sampled_from(["samples", "sample"]))
def test_pipeline_schema_and_pipeline_refuse_the_same(samples: int, key: str) -> None:
    strategy = {"use": "self_consistency", key: samples}
    is_right = key == "samples" and samples > 0
    assert PIPELINE.is_valid({"models": {"m": "reference"}, "strategy": strategy}) == is_right
    try:
        Strategy.parse(strategy)
    except ValueError:
        assert not is_right


class Nested(Strategy, name="nested"):
    inner: Strategy

    async def solve(self, problem: Problem, run: Run) -> Solution:
        return await run.solve(self.inner)


@pytest.fixture
def _nested(monkeypatch: pytest.MonkeyPatch) -> None:
    points = dict(registry._entry_points("tts.strategies"))
    points["nested"] = (EntryPoint("nested", f"{__name__}:Nested", "tts.strategies"),)
    original = registry._entry_points
    monkeypatch.setattr(
        registry,
        "_entry_points",
        lambda group: points if group == "tts.strategies" else original(group),
    )


@pytest.mark.usefixtures("_nested")
def test_a_family_inside_itself_has_a_schema() -> None:
    schema = Draft202012Validator(Pipeline.model_json_schema())
    nested = Strategy.parse({"use": "nested", "inner": {"use": "nested", "inner": "best_of_n"}})
    assert schema.is_valid({"models": {"m": "reference"}, "strategy": nested.settings()})
    assert Strategy.parse(nested.settings()) == nested


def test_a_strategy_that_holds_others_reads_each_source_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: Counter[object] = Counter()
    getsource = inspect.getsource

    def counted(thing: Any) -> str:
        read[thing] += 1
        return getsource(thing)

    monkeypatch.setattr(inspect, "getsource", counted)
    frozen._field_texts.cache_clear()
    for name in ("selective_allocation", "outline"):
        Strategy.named(name).model_json_schema()
    assert read.total() == len(read) > 50


def test_a_model_without_a_source_file_has_a_schema() -> None:
    namespace: dict[str, Any] = {"__name__": "nowhere"}
    exec("from tts.frozen import Frozen\nclass Made(Frozen):\n    x: int = 1", namespace)
    assert set(namespace["Made"].model_json_schema()["properties"]) == {"x"}


@pytest.mark.parametrize("member", [m for family in FAMILIES for m in family.survey()[0]])
def test_defaults_that_are_components_are_written_as_settings(member: type[Component]) -> None:
    properties = member.model_json_schema().get("properties", {})
    for name, field in member.model_fields.items():
        if isinstance(field.default, Component):
            assert properties[name]["default"] == field.default.settings()


def test_nested_settings_have_defaults_and_descriptions() -> None:
    strategies = Pipeline.model_json_schema()["properties"]["strategy"]["anyOf"][1:]
    stop = next(s for s in strategies if "stop" in s["properties"])["properties"]["stop"]
    assert stop["default"] == {"use": "dominance"}
    assert stop["description"]


@pytest.mark.parametrize(
    ("pipeline", "is_right"),
    [
        ({"answer": "auto"}, True),
        ({"answer": {"kind": "number"}}, True),
        ({"answer": {"pattern": "x"}}, True),
        ({"answer": "numbr"}, False),
        ({"answer": {"knd": "number"}}, False),
        ({"strategy": {"use": "best_of_n", "verifier": "judge"}}, True),
        ({"strategy": {"use": "best_of_n", "verifier": "function"}}, False),
        ({"strategy": {"use": "best_of_n", "samples": True}}, False),
        ({"strategy": {"use": "best_of_n", "samples": "4"}}, False),
        ({"budgt": {}}, False),
        ({"budget": {"tokens": 3}}, False),
        ({"models": {"m": {"backend": "reference", "samplng": {}}}}, False),
    ],
)
def test_pipeline_schema_and_pipeline_agree(pipeline: dict[str, Any], is_right: bool) -> None:
    values = {"models": {"m": "reference"}, "strategy": "best_of_n"} | pipeline
    assert PIPELINE.is_valid(values) == is_right
    try:
        Pipeline.model_validate(values)
    except ValueError:
        assert not is_right
    else:
        assert is_right


def documented() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = [(page, text) for page in pages for text in YAML_BLOCK.findall(page.read_text())]
    texts += [(file, file.read_text()) for file in sorted((ROOT / "pipelines").glob("*.yaml"))]
    return [
        (path.relative_to(ROOT).as_posix(), text)
        for path, text in texts
        if not re.search(r"^tasks:", text, re.MULTILINE)  # a suite
    ]


@pytest.mark.parametrize(("path", "text"), documented())
def test_committed_schema_accepts_every_documented_pipeline(path: str, text: str) -> None:
    schema = json.loads((ROOT / "pipelines" / "pipeline.schema.json").read_text())
    committed, values = Draft202012Validator(schema), yaml.safe_load(text)
    assert committed.is_valid(values), path
    assert not committed.is_valid(values | {"wrong": 1})
    assert not committed.is_valid(values | {"budget": {"wrong": 1}})
