"""Bundled models are chosen by name."""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.backends.reference.models import copy_tokenizer, write_model
from tts import ConfigError, Meter, Pipeline, solve
from tts.backends.base import Provider
from tts.backends.reference import Reference, ReferenceBackend, bundled
from tts.cli import main
from tts.messages import Message, Request

ROOT = Path(__file__).parents[3]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models: the main one, and below it a draft that shares its tokenizer."""
    write_model(tmp_path, layers=3)
    copy_tokenizer(tmp_path)
    write_model(tmp_path / "draft", layers=1)
    (tmp_path / "notes").mkdir()  # no model
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    return tmp_path


def asking(**fields: object) -> Request:
    messages = (Message(role="user", content="cats = 4\nWhat are cats?"),)
    return Request.model_validate({"messages": messages, "max_tokens": 12, "seed": 1} | fields)


def test_the_known_models_are_the_main_one_and_the_folders_below_it(weights: Path) -> None:
    assert bundled.names() == ("main", "draft")
    assert bundled.bundled().config == weights / "config.json"
    draft = bundled.bundled("draft")
    assert draft.tensors == weights / "draft" / "model.safetensors"
    assert draft.tokenizer == weights / "tokenizer.json"


def test_a_tokenizer_of_its_own_comes_first(weights: Path) -> None:
    copy_tokenizer(weights / "draft")
    assert bundled.bundled("draft").tokenizer == weights / "draft" / "tokenizer.json"


@pytest.mark.usefixtures("weights")
@pytest.mark.anyio
async def test_each_model_answers_under_its_own_name() -> None:
    texts = {}
    for settings in ("reference", {"backend": "reference", "model": "draft"}):
        async with Provider.parse(settings).open() as backend:
            completion = await backend.generate(asking(temperature=1.0), Meter())
            assert completion.model == backend.name
            texts[backend.name] = completion.text
    assert set(texts) == {"reference", "reference-draft"}
    assert len(set(texts.values())) == 2


@pytest.mark.usefixtures("weights")
def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown model 'drat'; known: main, draft$"):
        ReferenceBackend(model="drat")
    with pytest.raises(ValueError, match="known: main, draft"):
        Reference(model="drat")


def test_a_pipeline_names_the_place_of_an_unknown_model(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "models:\n  small: {backend: reference, model: tiny}\nstrategy: self_consistency\n"
    )
    with pytest.raises(ConfigError, match=r"pipeline\.yaml:2:.*unknown model 'tiny'; known: main"):
        Pipeline.load(path)


def test_a_path_is_no_name(weights: Path) -> None:
    for name in ("../draft", "./draft", str(weights / "draft"), "", "notes"):
        with pytest.raises(ConfigError, match="unknown model"):
            bundled.bundled(name)


@pytest.mark.usefixtures("weights")
def test_a_folder_stands_in_place_of_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        Reference(model="draft", folder=tmp_path)
    own = Reference(folder=tmp_path)
    assert Provider.parse(own.settings()) == own
    assert "model" not in own.identity()
    assert own.identity()["folder"] == str(tmp_path)


@pytest.mark.usefixtures("weights")
def test_cached_answers_of_two_models_are_told_apart() -> None:
    main_model, draft = Reference(), Reference(model="draft")
    assert main_model.identity()["model"] == "main"
    assert main_model.identity() != draft.identity()


@pytest.mark.usefixtures("weights")
def test_models_show_names_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "models:\n  target: reference\n  drafts: {backend: reference, model: draft}\n"
        "roles: {solve: drafts}\nstrategy: self_consistency\n"
    )
    with pytest.raises(SystemExit) as exit_:
        main(["models", "show", str(path)])
    shown = capsys.readouterr().out
    assert not exit_.value.code
    assert 'model: "main"' in shown
    assert 'model: "draft"' in shown


@pytest.mark.usefixtures("weights")
@pytest.mark.anyio
async def test_a_vote_on_the_draft_from_end_to_end() -> None:
    model = {"backend": "reference", "model": "draft", "sampling": {"max_tokens": 8}}
    solution = await solve("cats = 4\nWhat are cats?", "self_consistency", model=model)
    assert solution.usage.calls > 0
    assert solution.usage.cost_usd == 0.0


def test_a_tokenizer_that_does_not_fit_is_named(tmp_path: Path) -> None:
    write_model(tmp_path)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: the tokenizer is missing"):
        ReferenceBackend(folder=tmp_path)
    copy_tokenizer(tmp_path)
    described = json.loads((tmp_path / "tokenizer.json").read_text())
    described["model"]["vocab"]["surplus"] = len(described["model"]["vocab"])
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(ConfigError, match=r"tokenizer\.json: \d+ tokens do not fit a model of"):
        ReferenceBackend(folder=tmp_path)


@pytest.mark.parametrize("file", ["config.json", "draft/model.safetensors", "draft/config.json"])
def test_every_file_of_a_model_is_packaged(file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["tts.backends.reference"]
    depth = file.count("/") + 1
    fitting = [each for each in patterns if each.count("/") == depth]
    assert any(fnmatch(f"weights/{file}", each) for each in fitting)


@pytest.mark.parametrize("name", bundled.names())
def test_what_is_bundled_loads(name: str) -> None:
    assert ReferenceBackend(model=name).capabilities.context == 1024
