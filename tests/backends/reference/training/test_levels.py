"""The statistics of the benchmark by levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends.reference.training.world import split_of
from tts.evals.bench import reference_engine, reference_levels
from tts.evals.bench.reference_levels import (
    Sample,
    best_by_logprob,
    majority,
    majority_at,
    oracle,
    pass_at_1,
    per_problem,
    problems_of,
    summary,
)
from tts.evals.statistics import bootstrap

ANSWERS = st.lists(st.none() | st.integers(0, 3), min_size=16, max_size=16)


def samples(answers: list[int | None]) -> list[Sample]:
    return [Sample(answer, -float(index), 10) for index, answer in enumerate(answers)]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([1, 2, 2], 2), ([3, 1, 1, 3], 3), ([None, None, 5], 5), ([None], None), ([], None)],
)
def test_the_majority_is_the_first_of_the_most_frequent(
    answers: list[int | None], expected: int | None
) -> None:
    assert majority(answers) == expected


def test_majority_goes_over_disjoint_groups() -> None:
    drawn = samples([1, 1, 2, 2, 2, 1, 2, 2])
    assert majority_at(4, drawn, 1) == 0.5
    assert majority_at(8, drawn, 1) == 0.0


@given(answers=ANSWERS)
def test_measures_are_ordered(answers: list[int | None]) -> None:
    drawn = samples(answers)
    share = pass_at_1(drawn, 1)
    assert share == answers.count(1) / 16
    assert majority_at(1, drawn, 1) == share
    assert max(share, majority_at(16, drawn, 1), best_by_logprob(drawn, 1)) <= oracle(drawn, 1)


def test_the_best_has_the_highest_logprob() -> None:
    assert best_by_logprob(samples([1, 2, 2]), 1) == 1.0
    assert best_by_logprob(samples([1, 2, 2]), 2) == 0.0


def test_an_interval_covers_the_mean_and_narrows_with_problems() -> None:
    rng = np.random.default_rng(1)
    few, many = (bootstrap(rng.random(count)) for count in (20, 2000))
    for each in (few, many):
        assert each.low < each.mean < each.high
    assert many.high - many.low < few.high - few.low
    assert bootstrap(np.ones(5)).low == bootstrap(np.ones(5)).high == 1.0


def test_paired_gains_are_narrower_than_their_parts() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(400)
    columns = {"pass@1": hard, "maj@16": hard + 0.1, "best@16": hard, "greedy": hard - 0.2}
    gains = summary(3, "facts", columns).gains
    for name, gain in [("maj@16 - pass@1", 0.1), ("maj@16 - greedy", 0.3)]:
        assert gains[name].low == pytest.approx(gain)
        assert gains[name].high == pytest.approx(gain)
    assert gains["best@16 - pass@1"].mean == 0.0
    assert gains["best@16 - maj@16"].mean == pytest.approx(-0.1)


def test_tokens_are_summed_and_the_longest_is_critical() -> None:
    (problem,) = problems_of(1, "facts", 1)
    drawn = [Sample(problem.answer, -1.0, length) for length in range(1, 17)]
    columns = per_problem([problem], [drawn], [drawn[:1]])
    group = summary(1, "facts", columns)
    assert group.tokens == {"tokens of one": 8.5, "total tokens": 136.0, "critical tokens": 16.0}
    assert group.scores["oracle@16"].mean == 1.0


def test_problems_are_held_out_and_fixed() -> None:
    problems = problems_of(2, "sentences", 6)
    assert problems[:3] == problems_of(2, "sentences", 3)
    for problem in problems:
        facts = sorted((name, str(made)) for name, made in problem.definitions.items())
        assert split_of(facts, problem.target) == "test"
        assert problem.operations == 2


def test_benches_find_the_bundled_weights() -> None:
    assert (reference_levels.WEIGHTS / "model.safetensors").is_file()
    assert (reference_engine.WEIGHTS / "model.safetensors").is_file()
