from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PositiveInt, ValidationError

from tts import ConfigError, StoppingRule, Strategy, registry
from tts.frozen import Frozen
from tts.registry import nearest
from tts.stopping import Dominance, Never
from tts.strategies.self_consistency import SelfConsistency
from tts.votes import Confidence


class Holder(Frozen):
    rule: StoppingRule


class Typed(Frozen):
    whole: PositiveInt = 1
    maybe: int | None = None
    real: float = 0.0
    flag: bool = False
    text: str = ""
    many: tuple[int, ...] = ()
    path: Path = Path()


class Foreign(BaseModel):
    x: int = 0


class Around(Frozen):
    foreign: Foreign


@pytest.mark.parametrize("value", ["never", {"use": "never"}, Never()])
def test_family_field_takes_a_name_a_mapping_or_an_object(value: object) -> None:
    assert Holder.model_validate({"rule": value}).rule == Never()


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ("nver", ("rule",), "did you mean 'never'"),
        ({"use": "nver"}, ("rule", "use"), "did you mean 'never'"),
        ({"use": "never", "x": 1}, ("rule", "x"), "Extra inputs"),
        ({}, ("rule",), "'use'"),
        (7, ("rule",), "give a name"),
        (None, ("rule",), "give a name"),
    ],
)
def test_mistake_in_a_component_is_located(
    value: object, loc: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        Holder.model_validate({"rule": value})
    assert raised.value.errors()[0]["loc"] == loc
    assert message in raised.value.errors()[0]["msg"]


@given(st.text(max_size=20))
def test_no_name_breaks_the_message(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        Strategy.named(f"{{{name}}}")


def test_settings_are_what_parse_reads() -> None:
    made = SelfConsistency(samples=3, stop=Never(), vote=Confidence(sharpness=2))
    assert Strategy.parse(made.settings()) == made
    assert made.settings()["vote"] == {"use": "confidence", "sharpness": 2.0}


def test_object_of_another_family_is_refused() -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"rule": SelfConsistency()})


@pytest.fixture
def _broken_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    points = dict(registry._entry_points("tts.rules"))
    for name, value in (
        ("broken", "no_such_module:Rule"),
        ("alien", "tts.votes:Plurality"),
        ("alias", "tts.stopping:Never"),
    ):
        points[name] = (EntryPoint(name, value, "tts.rules"),)
    points["twice"] = 2 * points["never"]
    monkeypatch.setattr(registry, "_entry_points", lambda group: points)


@pytest.mark.usefixtures("_broken_plugin")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "no_such_module:Rule fails: ModuleNotFoundError"),
        ("alien", "tts.votes:Plurality is not a rule"),
        ("alias", "registered as rule 'alias' and calls itself 'never'"),
        ("twice", "uninstall one"),
    ],
)
def test_broken_package_is_named(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        StoppingRule.named(name)
    assert words in str(raised.value)


@pytest.mark.usefixtures("_broken_plugin")
def test_broken_package_does_not_break_the_others() -> None:
    members, errors = StoppingRule.survey()
    assert {Dominance, Never} <= set(members)
    assert len(errors) == 4


class Packaged:
    """What an entry point knows of its package."""

    def __init__(self, name: str) -> None:
        self.name = name


def rule(name: str, value: str, package: str) -> EntryPoint:
    point = EntryPoint(name, value, "tts.rules")
    vars(point)["dist"] = Packaged(package)
    return point


Install = Callable[[EntryPoint], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Pretend that a package registers one rule more."""

    def with_point(point: EntryPoint) -> None:
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [*entry_points(group=group), point]
        )
        registry._entry_points.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield with_point
    monkeypatch.undo()
    registry._entry_points.cache_clear()


OF_NO_TYPE = """
from tts.stopping import Never
class Rule(Never, name="broken"):
    x: "NoSuchType"
"""
NAMELESS = "from tts import StoppingRule\nclass Rule(StoppingRule): pass"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
        ("", "AttributeError"),
        (NAMELESS, "TypeError: Rule needs a name"),
        (OF_NO_TYPE, "NoSuchType"),
        ("Rule = 7", "is not a rule"),
        ("from tts import StoppingRule as Rule", "is not a rule"),
    ],
)
def test_whatever_a_package_does_it_is_one_line_that_names_it(
    install: Install, tmp_path: Path, source: str, words: str
) -> None:
    module = f"broken_{len(source)}_{words[0]}"
    (tmp_path / f"{module}.py").write_text(source)
    install(rule("broken", f"{module}:Rule", "tts-plugin"))
    (error,) = StoppingRule.survey()[1]
    assert words in error.message
    assert f"tts-plugin ({module}:Rule)" in error.message
    assert "\n" not in error.message
    assert "broken" not in json.dumps(Holder.model_json_schema())


def test_name_of_a_built_in_cannot_be_taken_over(install: Install) -> None:
    install(rule("never", "tts.stopping:Dominance", "tts-thief"))
    with pytest.raises(ConfigError) as raised:
        StoppingRule.named("never")
    for package in ("tts-thief (tts.stopping:Dominance)", "tts-orchestrator (tts.stopping.never:"):
        assert package in raised.value.message
    assert "never" not in [member.name for member in StoppingRule.survey()[0]]
    assert Dominance in StoppingRule.survey()[0]


def test_member_without_a_name_is_refused() -> None:
    with pytest.raises(TypeError, match="Nameless needs a name"):

        class Nameless(Never):
            pass


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("whole", wrong) for wrong in (True, "4", 4.0)],
        *[("maybe", wrong) for wrong in (True, "4")],
        *[("real", wrong) for wrong in (True, "0.5")],
        *[("flag", wrong) for wrong in (1, "yes")],
        *[("text", wrong) for wrong in (7, True)],
        ("many", ["4"]),
    ],
)
def test_value_of_another_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Typed.model_validate({field: value})


def test_values_that_yaml_has_no_type_for_are_converted() -> None:
    made = Typed.model_validate({"real": 1, "many": [1, 2], "path": "/tmp", "maybe": None})
    assert (made.real, made.many, made.path) == (1.0, (1, 2), Path("/tmp"))


def test_foreign_models_keep_their_own_rules() -> None:
    assert Around.model_validate({"foreign": {"x": "4"}}).foreign.x == 4
    assert Foreign.model_validate({"x": "4"}).x == 4


def test_nearest_lists_all_when_none_is_near() -> None:
    assert nearest("zzz", ("a", "b")) == "known: a, b"
    assert nearest("zzz", ()) == "known: none"
