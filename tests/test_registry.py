from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import ConfigError, StoppingRule, Strategy, registry
from tts.frozen import Frozen
from tts.registry import nearest
from tts.stopping import Dominance, Never
from tts.strategies.self_consistency import SelfConsistency
from tts.votes import Confidence


class Holder(Frozen):
    rule: StoppingRule


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


def test_nearest_lists_all_when_none_is_near() -> None:
    assert nearest("zzz", ("a", "b")) == "known: a, b"
    assert nearest("zzz", ()) == "known: none"
