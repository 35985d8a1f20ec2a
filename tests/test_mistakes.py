from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import Pipeline
from tts.errors import ConfigError
from tts.evals.suite import Suite
from tts.mistakes import describe

SUITE = """tasks:
  - {use: graphs, level: 2, problems: 3}
models:
  small: reference
strategies:
  vote: {use: self_consistency, samples: 4}
budgets: {none: {}}
seeds: [0, 1]
equal: total
"""
PIPELINE = """models: {solver: {backend: reference, sampling: {max_tokens: 64}}}
strategy: {use: self_consistency, samples: 4}
"""
MAPPING = "a suite is a mapping with tasks, models and strategies"


def told(kind: type[Suite | Pipeline], text: str, folder: Path) -> str:
    path = folder / "file.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        kind.load(path)
    return str(caught.value).partition("file.yaml:")[2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0, 1]", "seeds:", "8:1: seeds: give a list, not nothing"),
        ("seeds: [0, 1]", "seeds: [-1]", "8:9: seeds.0: give at least 0, not -1"),
        (
            "problems: 3",
            "problems: 1000001",
            "2:29: tasks.0.problems: give at most 1,000,000, not 1000001",
        ),
        ("seeds: [0, 1]", "seeds: [a]", "8:9: seeds.0: give a whole number, not 'a'"),
        ("{none: {}}", "{}", "7:1: budgets: it is empty: give at least one"),
        (
            "{none: {}}",
            "{a: 5}",
            "7:11: budgets.a: give a mapping with total_tokens, calls, seconds or usd, not 5",
        ),
        (
            "{none: {}}",
            "{a: {total_token: 5}}",
            "7:15: unknown key 'budgets.a.total_token'; did you mean 'total_tokens'?",
        ),
        ("strategies:", "strategy:", "5:1: unknown key 'strategy'; did you mean 'strategies'?"),
        (
            "equal: total",
            "equal: [usd, x]",
            "9:14: equal.1: choose one of total, critical, usd, not 'x'",
        ),
        ("equal: total", "share: 1", "9:1: share: give true or false, not 1"),
        ("equal: total", "baseline: 64", "9:1: baseline: give a mapping with samples, not 64"),
        ("equal: total", "prompts: x", "9:1: prompts: give a mapping, such as {NAME: x}"),
        (
            "equal: total",
            "prompts: {solve: 3}",
            "9:11: prompts.solve: give a text, not a number: quote it",
        ),
        ("seeds: [0, 1]\n", "", ""),
        (
            "use: graphs",
            "uses: graphs",
            "2:5: tasks.0: give a name, or a mapping with the key 'use'; "
            "did you mean 'use' by 'uses'?",
        ),
        (
            "small: reference",
            "small: {backend: reference, sampling: {temprature: 1}}",
            "4:42: unknown key 'models.small.sampling.temprature'; did you mean 'temperature'?",
        ),
        (
            "small: reference",
            "small: {models: {a: reference}, role: {}}",
            "4:35: unknown key 'models.small.role'; did you mean 'roles'?",
        ),
        (
            "samples: 4",
            "stop: {use: beta, x: 1}",
            "6:51: unknown key 'strategies.vote.stop.x'; known: confidence, assume_iid",
        ),
    ],
)
def test_mistakes_of_a_suite_say_what_would_do(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in SUITE
    if message:
        assert told(Suite, SUITE.replace(old, new, 1), tmp_path) == message
    else:
        (tmp_path / "good.yaml").write_text(SUITE.replace(old, new, 1))
        assert Suite.load(tmp_path / "good.yaml").seeds == (0,)


@pytest.mark.parametrize("text", ["- a\n- b\n", "hello\n", "3\n", "null\n"])
def test_what_is_no_mapping_is_told_what_a_file_holds(tmp_path: Path, text: str) -> None:
    assert told(Suite, text, tmp_path) == f"1:1: {MAPPING}"
    assert told(Pipeline, text, tmp_path) == "1:1: a pipeline is a mapping with models and strategy"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("strategy:", "strategi:", "2:1: unknown key 'strategi'; did you mean 'strategy'?"),
        ("strategy: {use: self_consistency, samples: 4}", "", "1:1: the key 'strategy' is missing"),
        ("samples: 4", "sampels: 4", "2:35: unknown key 'strategy.sampels'; did you mean 'sample"),
        (
            "max_tokens: 64",
            "max_tokens: lots",
            "1:50: models.solver.sampling.max_tokens: give a whole number, not 'lots'",
        ),
        (
            "samples: 4}",
            "samples: 4}\nbudget: {usd: free}",
            "3:10: budget.usd: give a number, not 'free'",
        ),
        (
            "samples: 4}",
            "samples: 4}\nanswer: 5",
            "3:1: answer: give a mapping with kind or pattern, not 5",
        ),
    ],
)
def test_mistakes_of_a_pipeline_say_what_would_do(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in PIPELINE
    assert told(Pipeline, PIPELINE.replace(old, new, 1), tmp_path).startswith(message)


def test_a_text_that_may_be_secret_is_not_repeated(tmp_path: Path) -> None:
    header = "{backend: openai, model: m, headers: {Authorization: 123456}}"
    assert "123456" not in told(Suite, SUITE.replace("reference", header), tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["use", "models", "seeds", "samples", "x"]), inner)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([*Suite.model_fields, "use", "strategy"])


@given(st.dictionaries(KEYS, VALUES) | VALUES)
def test_nothing_of_pydantic_is_heard_whatever_stands_in_a_suite(values: object) -> None:
    try:
        Suite.model_validate(values)
    except ValidationError as error:
        message = describe(error, Suite, values)
        assert not any(word in message for word in ("nput should", "tuple", "dictionary", "valid "))
        assert "\n" not in message
