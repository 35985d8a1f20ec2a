from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from tts.evals.report import Entry, Run
from tts.evals.report.curves import Pool, is_pool, pool, saturation
from tts.evals.report.frontier import as_json, frontier

Loaded = tuple[list[Run], list[Entry]]


@pytest.fixture(scope="module")
def drawn(loaded: Loaded) -> Pool:
    found = pool(loaded[1][0], 5)
    assert found is not None
    return found


def test_a_pool_is_of_independent_draws_alone(loaded: Loaded) -> None:
    baseline, single, pdr, stopped = loaded[1][:4]
    assert is_pool(baseline)
    assert not is_pool(pdr)
    assert not is_pool(stopped)  # its rule has decided how many there are
    assert [pool(each, 9) for each in (single, pdr, stopped)] == [None] * 3


def test_never_draws_all_and_no_rule_draws_more(drawn: Pool) -> None:
    points = frontier(drawn)
    never = points[0]
    assert (never.rule, never.samples, never.problems) == ("never", 16, 5)
    whole = sum(d.prompt_tokens + d.completion_tokens for draws in drawn.draws for d in draws)
    assert never.tokens.mean == pytest.approx(whole / 5)
    assert all(point.tokens.mean <= never.tokens.mean for point in points)
    assert {"dominance", "beta", "e_process", "esc"} <= {point.rule for point in points}


def test_dominance_changes_no_answer(drawn: Pool) -> None:
    never, dominance = frontier(drawn)[:2]
    assert dominance.accuracy == never.accuracy
    assert as_json(dominance)["rule"] == "dominance"


def test_another_seed_of_the_same_problems_narrows_nothing(drawn: Pool) -> None:
    twice = Pool(drawn.draws * 2, drawn.examples * 2)
    for once, again in zip(frontier(drawn), frontier(twice), strict=True):
        assert (again.problems, again.runs) == (5, 10)
        for name in ("accuracy", "tokens"):
            one, two = getattr(once, name), getattr(again, name)
            assert astuple(two) == pytest.approx(astuple(one))


def test_problems_that_are_all_solved_prove_no_rule_perfect(drawn: Pool) -> None:
    right = [[draw.model_copy(update={"right": True}) for draw in draws] for draws in drawn.draws]
    for point in frontier(Pool(tuple(map(tuple, right)), drawn.examples)):
        assert (point.accuracy.mean, point.accuracy.high) == (1.0, 1.0)
        assert 0.3 < point.accuracy.low < 0.9  # five problems; Wilson's end is .57


def test_the_first_problems_are_counted_once_whatever_the_seeds(loaded: Loaded) -> None:
    entry = loaded[1][0]
    found = pool(replace(entry, results=entry.results * 2), 5)
    assert found is not None
    assert len(found.draws) == 10
    assert len(set(found.examples)) == 5


def test_settings_are_words(drawn: Pool) -> None:
    assert not [point.setting for point in frontier(drawn) if set(point.setting) & set("[]{}'")]


def test_a_curve_of_one_size_has_no_fit() -> None:
    assert saturation([]) == {}
    assert saturation([{"k": 1, "pass": 0.5}]) == {}
    found = saturation([{"k": 1, "pass": 0.5}, {"k": 2, "pass": 0.6}, {"k": 4, "pass": 0.7}])
    assert found["sizes"] == [1, 2, 4, 8, 16]
    assert sorted(found["values"]) == found["values"]
