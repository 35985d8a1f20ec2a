from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.contracts.roles import actor, play
from tts import (
    Capabilities,
    ConfigError,
    Pipeline,
    Price,
    Problem,
    Run,
    Solution,
    Strategy,
    Verifier,
    solve_sync,
)  # fmt: skip
from tts.backends import EnvironmentName, Given
from tts.backends.base import Provider
from tts.frozen import Frozen
from tts.prompts import Prompts
from tts.solver import open_solver
from tts.testing import ScriptedBackend, virtual_run

MODELS = "models:\n  m: {backend: reference}\n"
TWO = "models:\n  small: {backend: reference}\n  large: {backend: reference}\n"
YES_NO = "strategy: {use: best_of_n, verifier: yes_no}\n"


def load(tmp_path: Path, text: str | bytes) -> Pipeline:
    path = tmp_path / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Pipeline.load(path)


@pytest.mark.parametrize(
    "rest",
    [
        "strategy: draft_target\n",  # the first plays both, and nobody said otherwise
        "strategy: draft_target\nroles: {draft: small, target: small}\n",
        "strategy: draft_target\nroles: {draft: large}\n",  # the first is left for the target
        YES_NO + "roles: {verify: large}\n",
    ],
)
def test_roles_that_are_not_given_go_to_the_first_model_where_that_is_plain(
    tmp_path: Path, rest: str
) -> None:
    assert load(tmp_path, TWO + rest).strategy.name in {"draft_target", "best_of_n"}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (MODELS + "strategy: best_of_n\nbudget: {tokens: 3}\n", 4, 10, "unknown key"),
        (MODELS + "strategy: {use: best_of_n, samples: 0}\n", 3, 28, "strategy.samples"),
        (MODELS + "strategy: {use: best_of_m}\n", 3, 12, "did you mean 'best_of_n'"),
        (MODELS + "strategy: best_of_n\nroles: {solve: jugde}\n", 4, 9, "no model 'jugde'"),
        (MODELS + "strategy: best_of_n\nroles: {verify: m}\n", 4, 9, "asks no such role"),
        (TWO + "strategy: draft_target\nroles: {draft: small}\n", 5, 1, "'target' is given to no"),
        (TWO + YES_NO + "roles: {verify: small}\n", 5, 1, "'large' nothing; say which, solve: M"),
        (MODELS + "strategy: best_of_n\nroles: {slove: m}\n", 4, 9, "did you mean 'solve'"),
        (MODELS + YES_NO + "prompts: {solve: a, verfy: b}\n", 4, 21, "did you mean 'verify'"),
        (MODELS + YES_NO + "prompts: {verify: '{{ oops }'}\n", 4, 11, "not a template"),
        (MODELS + YES_NO + "prompts: {verify: '{{ a | no_such }}'}\n", 4, 11, "not a template"),
        (MODELS + "strategy: best_of_n\n7: x\n", 4, 1, "quote it"),
        ("models:\n  no: reference\nstrategy: best_of_n\n", 2, 3, "quote it"),
        (MODELS + "strategy: best_of_n\nbudget: {null: 3}\n", 4, 10, "quote it"),
        (MODELS + "strategy: {use: best_of_n, samples: true}\n", 3, 28, "whole number"),
        (MODELS + "strategy: {use: best_of_n, samples: '4'}\n", 3, 28, "whole number"),
        (MODELS + "strategy: best_of_n\nbudget: {seconds: true}\n", 4, 10, "a number, not true"),
        (MODELS + "strategy: best_of_n\nprompts: {solve: '{% if %}'}\n", 4, 11, "not a template"),
        (MODELS + "strategy: best_of_n\nprompts: {no: x}\n", 4, 11, "quote it"),
        (MODELS + "strategy: best_of_n\nroles: {solve: n}\n", 4, 9, "known: m"),
        (MODELS + "strategy: best_of_n\nprompts: {solve: {{ problem }} }\n", 4, 19, "quotes"),
        (MODELS + "strategy: best_of_n\n? [a]\n: b\n", 4, 3, "a key must be a plain word"),
        (MODELS + "strategy: best_of_n\nstrategy: never\n", 4, 1, "twice"),
        (MODELS + "strategy: {use: self_consistency, vote: {use: confidence, sharpness: -1}}\n",
         3, 59, "strategy.vote.sharpness"),
        (MODELS + "strategy: best_of_n\nanswer: {pattern: '('}\n", 4, 10, "regular expression"),
        ("models: {}\nstrategy: best_of_n\n", 1, 1, "models"),
        ("strategy: best_of_n\n", 1, 1, "models"),
        ("a: [1,\nb: 2", 2, 5, "not YAML"),
        ("- 1\n", 1, 1, ""),
        ("", 1, 1, "empty"),
        ("7", 1, 1, ""),
        ("a: \0", None, None, "not YAML"),
        ("models: !!python/object:os.system {}\n", 1, 9, "not YAML"),
    ],
)  # fmt: skip
def test_mistake_is_located(
    tmp_path: Path, text: str, line: int | None, column: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    error = raised.value
    assert (error.path, error.line, error.column) == (str(tmp_path / "p.yaml"), line, column)
    assert words in str(error)
    assert "\n" not in str(error)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not UTF-8 at byte 2"):
        load(tmp_path, b"a:\xff")


def test_a_prompt_that_is_the_same_for_every_problem_is_refused(tmp_path: Path) -> None:
    """Else it asks every problem alike, pays for all of them, and is wrong on all."""
    prompts = "prompts: {{solve: 'Solve it: {}'}}\n"
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, MODELS + "strategy: best_of_n\n" + prompts.format("{problem}"))
    assert (raised.value.line, raised.value.column) == (4, 11)
    assert str(raised.value).endswith(
        "prompts.solve: it is the same for every problem: write {{ problem }} where that belongs"
    )
    for shown in ("{{ problem }}", "{{ problem | upper }}", "{% if problem %}it{% endif %}"):
        load(tmp_path, MODELS + "strategy: best_of_n\n" + prompts.format(shown))
    alone = "strategy: universal_self_consistency\nprompts: {select: 'Which? {{ solutions }}'}\n"
    load(tmp_path, MODELS + alone)  # the problem is left out on purpose


def test_a_prompt_of_a_part_must_show_the_problem_too(tmp_path: Path) -> None:
    strategy = "strategy: {use: outline, path: self_consistency}\n"
    with pytest.raises(ConfigError, match="the same for every problem"):
        load(tmp_path, MODELS + strategy + "prompts: {solve: Solve it.}\n")


class Blind(Strategy, name="blind"):
    """Has a prompt without the problem."""

    def roles(self) -> tuple[str, ...]:
        return ("warm_up",)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        raise NotImplementedError

    @classmethod
    def prompts(cls, overrides: Mapping[str, str] | None = None) -> Prompts:
        return Prompts([], {"warm_up": "Are you there?", **(overrides or {})})


def test_a_strategy_may_have_prompts_without_the_problem() -> None:
    models: dict[str, Provider] = {"m": Given(backend=ScriptedBackend(lambda request: "Answer: 1"))}
    made = Pipeline(models=models, strategy=Blind(), prompts={"warm_up": "Hello?"})
    assert made.prompts == {"warm_up": "Hello?"}


@pytest.mark.parametrize(
    ("name", "shown"), [("a\0b.yaml", r"'a\\x00b\.yaml'"), ("a\udc80\ud800", "'a")]
)
def test_a_name_that_no_file_can_have_is_a_mistake(name: str, shown: str) -> None:
    with pytest.raises(ConfigError, match=rf"{shown}.*: cannot read: "):
        Pipeline.load(name)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read: No such file"):
        Pipeline.load(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot read: Is a directory"):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("2E2", 200.0), ("3", 3.0)])
def test_number_may_be_written_in_any_way(tmp_path: Path, text: str, number: float) -> None:
    pipeline = load(tmp_path, MODELS + f"strategy: best_of_n\nbudget: {{seconds: {text}}}\n")
    assert pipeline.budget.seconds == number


@pytest.mark.parametrize("verifier", [name for name in Verifier.names() if name != "function"])
def test_declared_roles_are_those_that_are_asked(verifier: str) -> None:
    backend = actor()
    strategy = Strategy.parse({"use": "best_of_n", "verifier": verifier})
    solve_sync("q", strategy, model=backend)
    assert {request.role for request in backend.requests} == set(strategy.roles())
    assert set(strategy.needs()) <= set(strategy.roles())


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    models = "models:\n  a: &a {backend: reference}\n  b: {<<: *a, concurrency: 2}\n"
    pipeline = load(tmp_path, models + "strategy: best_of_n\n")
    assert pipeline.models["b"].concurrency == 2


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="more than"):
        load(tmp_path, "\n".join(lines))


def test_alias_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, "models: &m {a: *m}\nstrategy: best_of_n\n")


def refused(pipeline: Pipeline) -> str:
    async def main() -> None:
        async with open_solver(pipeline):
            pass

    with pytest.raises(ConfigError) as raised:
        virtual_run(main)
    return str(raised.value)


def test_model_that_lacks_an_ability_is_refused() -> None:
    backend = ScriptedBackend(play, capabilities=Capabilities(seed=True))
    pipeline = Pipeline(
        models={"m": Given(backend=backend)},
        strategy={"use": "best_of_n", "verifier": "yes_no"},  # type: ignore[arg-type]  # parsed by the field
    )
    assert "needs 'top_logprobs' of the model that plays 'verify'" in refused(pipeline)
    assert backend.requests == []


def test_dollar_budget_with_an_unknown_price_is_refused() -> None:
    backend = ScriptedBackend(play, price=None)
    pipeline = Pipeline(
        models={"m": Given(backend=backend)},
        strategy="self_consistency",  # type: ignore[arg-type]  # parsed by the field
        budget={"usd": 1.0},  # type: ignore[arg-type]  # parsed by the field
    )
    assert "needs the price" in refused(pipeline)
    backend.price = Price(input=1.0, output=1.0)


def test_missing_model_folder_points_at_the_model(tmp_path: Path) -> None:
    text = f"models:\n  m: {{backend: reference, folder: {tmp_path}}}\nstrategy: best_of_n\n"
    assert f"{tmp_path / 'p.yaml'}:2:3:" in refused(load(tmp_path, text))


class Keyed(Frozen):
    api_key_env: EnvironmentName


def test_environment_variable_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_TEST_KEY", "secret")
    assert "secret" not in repr(Keyed(api_key_env="TTS_TEST_KEY"))
    monkeypatch.delenv("TTS_TEST_KEY")
    with pytest.raises(ValidationError, match="TTS_TEST_KEY is not set: export it"):
        Keyed(api_key_env="TTS_TEST_KEY")


def test_empty_problem_is_refused(tmp_path: Path) -> None:
    pipeline = load(tmp_path, MODELS + "strategy: best_of_n\n")
    with pytest.raises(ConfigError, match="empty"):
        pipeline.problem(" \n")
