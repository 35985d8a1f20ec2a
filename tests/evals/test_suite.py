from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.evals.sums import backend, suite
from tts.errors import ConfigError
from tts.evals.suite import BASELINE, Suite

GOOD = """
tasks:
  - {use: graphs, level: 2, problems: 3}
models:
  small: reference
  two:
    models:
      solver: {backend: reference, concurrency: 8}
      judge: {backend: reference, sampling: {temperature: 0.0}}
    roles: {solve: solver, verify: judge}
strategies:
  vote: {use: self_consistency, samples: 4}
  best: {use: best_of_n, samples: 4, verifier: yes_no}
budgets:
  none: {}
  small: {total_tokens: 2000}
seeds: [0, 1]
equal: total
"""


def load(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    return Suite.load(path)


def test_the_grid_has_every_combination_and_one_baseline_a_task_model_and_seed(
    tmp_path: Path,
) -> None:
    cells = [entry.cell for entry in load(tmp_path, GOOD).entries()]
    assert len(cells) == 1 * 2 * 2 * (1 + 2 * 2)
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.strategy for cell in cells[:3]] == [BASELINE, "vote", "vote"]
    assert sum(cell.is_baseline for cell in cells) == 4
    assert all(cell.budget == "none" for cell in cells if cell.is_baseline)


def test_a_strategy_takes_the_roles_that_it_asks(tmp_path: Path) -> None:
    entries = load(tmp_path, GOOD).entries()
    roles = {
        entry.cell.strategy: entry.pipeline.roles for entry in entries if entry.cell.model == "two"
    }
    solve = {"solve": "solver"}
    assert roles == {BASELINE: solve, "vote": solve, "best": {**solve, "verify": "judge"}}


DRAFTED = """
tasks: [{use: graphs, level: 2, problems: 3}]
models:
  both:
    models: {small: reference, large: reference}
    roles: {draft: small, target: large}
strategies:
  drafted: {use: draft_target, samples: 4}
"""


def test_whom_the_baseline_asks_is_not_left_to_the_order_of_the_models(tmp_path: Path) -> None:
    suite = load(tmp_path, DRAFTED)
    assert len(suite.entries()) == 1
    with pytest.raises(ConfigError) as caught:
        suite.with_equal("total").entries()
    assert str(caught.value).endswith(
        "suite.yaml:6:5: of 2 models (small, large), which one plays 'solve' (asked by baseline)? "
        "Say so, for instance: roles: {draft: small, target: large, solve: large}"
    )
    told = DRAFTED.replace("target: large}", "target: large, solve: large}")
    baseline = load(tmp_path, told).with_equal("total").entries()[0]
    assert baseline.pipeline.roles == {"solve": "large"}


def test_a_line_up_without_roles_is_refused_where_it_stands(tmp_path: Path) -> None:
    text = DRAFTED.replace("    roles: {draft: small, target: large}\n", "")
    with pytest.raises(ConfigError, match=r":4:3: of 2 .* 'draft' \(asked by drafted\), 'target'"):
        load(tmp_path, text).entries()


def test_keys_change_with_what_decides_a_row_and_with_nothing_else() -> None:
    def key(**settings: object) -> str:
        return suite(backend(), **settings).entries()[1].cell.key

    same = key()
    assert key(concurrency=2, share=False, keep="answers", baseline={"samples": 4}) == same
    assert key(strategies={"vote": {"use": "self_consistency", "samples": 5}}) != same
    assert key(prompts={"solve": "{{ problem }}?"}) != same


def test_more_problems_of_a_task_are_the_same_cell(tmp_path: Path) -> None:
    keys = {
        load(tmp_path, GOOD.replace("problems: 3", f"problems: {n}")).entries()[0].cell.key
        for n in (3, 9)
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("level: 2", "levle: 2", "3:19", "unknown key 'tasks.0.levle'; did you mean 'level'?"),
        ("samples: 4}\n  best", "sample: 4}\n  best", "12:33", "did you mean 'samples'?"),
        (
            "small: reference",
            "small: {backend: reference, concurrency: 0}",
            "5:31",
            "give at least 1, not 0",
        ),
        ("small: reference", "small: refrence", "5:3", "did you mean 'reference'"),
        ("judge}\nstrat", "judge, verfy: judge}\nstrat", "10:43", "did you mean 'verify'"),
        ("verify: judge}", "verify: judgment}", "13:3", "judgment"),
        (
            "roles: {solve: solver, ",
            "roles: {",
            "10:5",
            "which one plays 'solve' (asked by baseline,",
        ),
        (
            "vote: {use: self_consistency, samples: 4}",
            "vote: {use: draft_target, carry: 1}",
            "12:3",
            "a suite solves each problem by itself, in no order",
        ),
        (
            "vote: {use: self_consistency, samples: 4}",
            "vote: {use: topology, worker: {use: draft_target, carry: 1}}",
            "12:3",
            "leave carry out here",
        ),
        ("equal: total", "equal: tokens", "18:1", "equal: choose one of total, critical, usd"),
        ("seeds: [0, 1]", "seeds: 3", "17:1", "seeds: give a list, such as [3]"),
        ("small: reference", "small: {backend: reference, retries: 1}", "5:31", "mean 'retry'?"),
        ("equal: total", "prompts: {solve: '{{ x'}", "18:11", "prompts.solve: not a template"),
        ("  vote:", "  baseline:", "12:3", "choose another"),
        ("seeds: [0, 1]", "seeds: [0, 1, 0]", "17:1", "0 stands there 2 times"),
        ("seeds: [0, 1]", "seeds: []", "17:1", "seeds: it is empty: give at least one"),
        ("seeds: [0, 1]", "seed: [0, 1]", "17:1", "unknown key 'seed'; did you mean 'seeds'?"),
    ],
)
def test_mistakes_are_told_where_they_stand(
    tmp_path: Path, old: str, new: str, place: str, words: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1)).entries()
    assert f"suite.yaml:{place}:" in str(caught.value)
    assert words in str(caught.value)


def test_settings_in_results_have_no_secret_and_no_folder(tmp_path: Path) -> None:
    problems = tmp_path / "mine.jsonl"
    problems.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    text = f"""
tasks: [{{use: jsonl, path: {problems}}}]
models:
  main:
    backend: openai
    model: m
    base_url: http://127.0.0.1:1/v1
    headers: {{Cookie: session=SECRET1}}
strategies: {{vote: {{use: self_consistency, samples: 4}}}}
"""
    suites = [load(tmp_path, text.replace("SECRET1", name)) for name in ("SECRET1", "SECRET2")]
    first, other = (suite.entries()[0].cell for suite in suites)
    kept = first.model_dump_json() + json.dumps(suites[0].model_dump(mode="json"))
    assert "SECRET1" not in kept
    assert first.key != other.key
    assert first.settings["task"]["path"].startswith("mine.jsonl (")
    assert str(tmp_path) not in first.model_dump_json()


def test_tasks_that_reports_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace(
        "models:\n  small", "  - {use: graphs, level: 2, seed: 1}\nmodels:\n  small"
    )
    with pytest.raises(ConfigError, match="2 tasks are called 'graphs 2 facts'"):
        load(tmp_path, text)


def test_the_schema_accepts_what_loads() -> None:
    schema = Suite.model_json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(yaml.safe_load(GOOD))
    validator.validate(yaml.safe_load(GOOD.replace("equal: total", "equal: [total, usd]")))
    wrong = yaml.safe_load(GOOD.replace("equal: total", "equal: tokens"))
    assert not validator.is_valid(wrong)


def test_other_equal_costs_keep_the_places_of_mistakes(tmp_path: Path) -> None:
    changed = load(tmp_path, GOOD).with_equal("usd", "critical")
    assert changed.equal == ("usd", "critical")
    assert "suite.yaml:12:3" in str(changed.mistake("x", "strategies", "vote"))


@pytest.mark.parametrize(
    ("task", "place", "words"),
    [
        ("{use: jsonl, path: no.jsonl}", "3:18", "{cwd}/no.jsonl: cannot read: No such file"),
        ("{use: jsonl}", "3:5", "the task 'jsonl' needs path"),
        ("{use: jsonl, path: bad.jsonl}", "", "bad.jsonl:1: "),
    ],
)
def test_a_task_without_problems_is_told_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, place: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.jsonl").write_text("[]\n")
    suite = load(tmp_path, GOOD.replace("{use: graphs, level: 2, problems: 3}", task))
    with pytest.raises(ConfigError) as caught:
        suite.examples()
    at = f"{tmp_path}/suite.yaml:{place}: " if place else ""
    assert str(caught.value).startswith(at + words.format(cwd=tmp_path))
