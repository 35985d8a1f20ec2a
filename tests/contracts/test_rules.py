"""What every registered stopping rule must do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.calibrations import CALIBRATION
from tts import StoppingRule, Tally
from tts.testing import candidate

every_rule = pytest.mark.parametrize("name", StoppingRule.names())
NEEDED = {"conformal": {"calibration": CALIBRATION}}  # settings without a default
answers = st.lists(st.sampled_from(["1", "2", "3", None]), max_size=24)


def rule_of(name: str) -> StoppingRule:
    return StoppingRule.parse({"use": name, **NEEDED.get(name, {})})


def tally_of(drawn: list[str | None]) -> Tally:
    return Tally.of(candidate(answer, ticket=index) for index, answer in enumerate(drawn))


@every_rule
@given(drawn=answers, remaining=st.integers(1, 40))
def test_earliest_is_between_one_and_remaining(
    name: str, drawn: list[str | None], remaining: int
) -> None:
    assert 1 <= rule_of(name).earliest(tally_of(drawn), remaining) <= remaining


@every_rule
@given(drawn=answers, more=answers, remaining=st.integers(1, 40))
def test_no_stop_comes_before_the_earliest(
    name: str, drawn: list[str | None], more: list[str | None], remaining: int
) -> None:
    rule = rule_of(name)
    earliest = rule.earliest(tally_of(drawn), remaining)
    if rule.verdict(tally_of(drawn), remaining).stopped_by is None:
        for count in range(1, min(earliest, len(more) + 1, remaining)):
            verdict = rule.verdict(tally_of(drawn + more[:count]), remaining - count)
            assert verdict.stopped_by is None


@every_rule
@given(drawn=answers, remaining=st.integers(1, 40))
def test_verdict_is_pure(name: str, drawn: list[str | None], remaining: int) -> None:
    rule, tally = rule_of(name), tally_of(drawn)
    first = rule.verdict(tally, remaining)
    assert rule.verdict(tally, remaining) == first == rule.verdict(tally_of(drawn), remaining)
    assert len(tally.candidates) == len(drawn)


@every_rule
@given(drawn=answers, remaining=st.integers(1, 40))
def test_stop_names_the_rule_and_its_reason(
    name: str, drawn: list[str | None], remaining: int
) -> None:
    stopped_by = rule_of(name).verdict(tally_of(drawn), remaining).stopped_by
    assert stopped_by is None or (stopped_by.rule == name and stopped_by.reason)


@every_rule
def test_settings_round_trip(name: str) -> None:
    rule = rule_of(name)
    assert StoppingRule.parse(rule.settings()) == rule
