"""A row's tokens and log-probabilities have the same bits in any company."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.reference.networks import finished, network, prompt, row
from tts.backends.reference.blas import Projection, exact_tiling, one_thread
from tts.backends.reference.engine import Engine, Row, TokenIds

Written = tuple[tuple[int, ...], tuple[float, ...]]


def ids(index: int) -> TokenIds:
    """Return one of five prompts, so that rows share some of them."""
    return prompt(network("bundled").config, (3, 40, 32, 90, 17)[index % 5], index % 5)


def specimen(index: int) -> Row:
    temperature = (1.0, 0.7, 0.0, 1.3)[index % 4]
    return row(ids(index), seed=index, limit=5 + index * 7 % 37, temperature=temperature)


def written(each: Row) -> Written:
    return tuple(each.tokens), tuple(each.logprobs)


@cache
def alone(index: int) -> Written:
    (each,) = finished(Engine(network("bundled")), specimen(index))
    return written(each)


def test_a_full_batch_writes_what_each_row_writes_alone() -> None:
    rows = finished(Engine(network("bundled")), *map(specimen, range(64)))
    for index in range(0, 64, 9):
        assert written(rows[index]) == alone(index)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 19), st.integers(0, 6)),
        min_size=1,
        max_size=12,
        unique_by=lambda x: x[0],
    ),
    st.integers(1, 16),
    st.sets(st.integers(0, 19), max_size=4),
)
def test_rows_that_join_and_leave_midway_change_nothing(
    arrivals: list[tuple[int, int]], max_batch: int, leaving: set[int]
) -> None:
    engine = Engine(network("bundled"), max_batch=max_batch)
    rows: dict[int, Row] = {}
    for index, pause in arrivals:
        rows[index] = specimen(index)
        engine.submit(rows[index])
        for _ in range(pause):
            engine.step()
        for gone in leaving & rows.keys():
            rows[gone].cancelled = True
    finished(engine)
    for index, each in rows.items():
        tokens, logprobs = alone(index)
        held = len(each.tokens)
        assert written(each) == (tokens[:held], logprobs[:held])
        assert each.cancelled or held == len(tokens)


def test_a_prompt_computed_once_for_many_equals_one_computed_for_each() -> None:
    engine = Engine(network("bundled"))
    forked = finished(engine, *(row(ids(3), seed=seed) for seed in range(6)))
    for seed, each in enumerate(forked):
        (fresh,) = finished(Engine(network("bundled")), row(ids(3), seed=seed))
        assert written(each) == written(fresh)


def test_rows_with_extreme_scores_replay_too() -> None:
    model = network("sharp")
    prompts = [prompt(model.config, 3 + 4 * index, index) for index in range(9)]
    together = finished(Engine(model), *(row(each, limit=40) for each in prompts))
    for each, one in zip(together, prompts, strict=True):
        assert written(each) == written(finished(Engine(model), row(one, limit=40))[0])


def test_a_score_does_not_depend_on_what_is_scored_beside_it() -> None:
    model = network("bundled")
    jobs = [Row(prompt=ids(i), given=ids(i + 1)) for i in range(5)]
    together = finished(Engine(model), *jobs)
    for each in together:
        assert each.logprobs == Engine(model).score(each.prompt, each.given or ())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_the_chosen_tiling_a_product_does_not_depend_on_the_rows_beside(
    dtype: type[np.floating],
) -> None:
    generator = np.random.default_rng(3)
    weight = generator.standard_normal((100, 340)).astype(dtype)
    tiling = exact_tiling([weight])
    project = Projection(weight, tiling)
    x = generator.standard_normal((tiling.padded(200), 100)).astype(dtype)
    whole = np.empty((len(x), 340), dtype)
    with one_thread():
        project(x, whole)
        for count in (1, 5, 64, 130):
            chosen = generator.choice(len(x), count, replace=False)
            padded = np.zeros((tiling.padded(count), 100), dtype)
            padded[:count] = x[chosen]
            part = np.empty((len(padded), 340), dtype)
            project(padded, part)
            assert np.array_equal(part[:count], whole[chosen])
