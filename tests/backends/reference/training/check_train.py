"""The network and its training: needs the extra `train`, so `make train-test` runs it by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tts.backends.reference.engine import Engine
from tts.backends.reference.model import Transformer
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import course, train
from tts.backends.reference.training.cases import cases_of
from tts.backends.reference.training.corpus import Corpus, Shape
from tts.backends.reference.training.course import rate
from tts.backends.reference.training.export import read
from tts.backends.reference.training.model import Shape as ModelShape
from tts.backends.reference.training.model import forward, initial, inputs, loss
from tts.backends.reference.training.optimizer import fresh, update
from tts.backends.reference.training.packing import Batch
from tts.backends.reference.training.train import Plan, Run
from tts.backends.reference.training.vocabulary import build
from tts.backends.reference.weights import load_config, load_tensors

SHAPE = Shape(1, 192, (1, 2))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    build(path)
    return Tokenizer(path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows short enough to be computed in no time."""
    for name in ("_LONG", "_SHORT", "_MIDDLE"):
        monkeypatch.setattr(course, name, SHAPE)
    monkeypatch.setattr(train, "_ROUNDS", ())


def alone(batch: Batch, keep: np.ndarray) -> Batch:
    """Return what a branch sees as a row of its own."""
    tokens = batch.tokens[:1, keep]
    return Batch(
        tokens,
        np.ones_like(tokens),
        batch.positions[:1, keep],
        batch.segments[:1, keep],
        batch.weights[:1, keep],
        batch.choices[:1, keep],
        np.ones_like(batch.sees[:1]),
    )


def test_a_packed_branch_computes_what_it_computes_alone(tokenizer: Tokenizer) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=2, heads=2, hidden=48)
    parameters = initial(shape, 0)
    batch = Corpus(tokenizer, "train", 0).batch(0, SHAPE)
    packed = forward(parameters, inputs(batch, shape), shape)[0].numpy()
    branches, sees = batch.branches[0], batch.sees[0]
    for branch in range(1, branches.max() + 1):
        seen = sees[branch][branches]
        if batch.segments[0][seen].any():
            continue
        single = forward(parameters, inputs(alone(batch, seen), shape), shape)[0].numpy()
        assert np.allclose(packed[seen], single, atol=1e-4)


def test_marks_change_parallel_paths_and_nothing_else(tokenizer: Tokenizer) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=2, heads=2, hidden=48)
    parameters = initial(shape, 0)
    corpus = Corpus(tokenizer, "train", 0)
    batch = next(
        made
        for made in (corpus.batch(index, Shape(1, 320, (2,))) for index in range(99))
        if made.segments.any()
    )
    plain = forward(parameters, inputs(batch, shape), shape)[0].numpy()
    parameters["segments"] = parameters["segments"] + 0.5
    marked = forward(parameters, inputs(batch, shape), shape)[0].numpy()
    paths = np.unique(batch.branches[0][batch.segments[0] > 0])
    touched = batch.sees[0][:, paths].any(1)[batch.branches[0]]
    others = ~touched & (batch.branches[0] > 0)
    assert np.array_equal(plain[others], marked[others])
    assert not np.allclose(plain[batch.segments[0] > 0], marked[batch.segments[0] > 0])


def test_what_weighs_nothing_does_not_count(tokenizer: Tokenizer) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=1, heads=2, hidden=48)
    parameters = initial(shape, 0)
    batch = Corpus(tokenizer, "train", 0).batch(0, SHAPE)
    tokens = batch.tokens.copy()
    tokens[batch.branches == 0] = 5
    one, two = (
        loss(parameters, inputs(each, shape), shape)[0]
        for each in (batch, batch._replace(tokens=tokens))
    )
    assert float(one) == pytest.approx(float(two), rel=1e-6)


@pytest.mark.parametrize("muon", [True, False])
def test_steps_lower_the_loss(tokenizer: Tokenizer, muon: bool) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=1, heads=1, hidden=64)
    parameters = {name: each.requires_grad_() for name, each in initial(shape, 0).items()}
    state = fresh(parameters, muon)
    given = inputs(Corpus(tokenizer, "train", 0).batch(0, SHAPE), shape)
    costs = []
    for _ in range(8):
        cost = loss(parameters, given, shape)[0]
        for value in parameters.values():
            value.grad = None
        cost.backward()
        costs.append(cost.item())
        update(parameters, state, 1.0, shape)
    assert costs[-1] < 0.8 * costs[0]


def test_the_rate_warms_up_stays_and_falls_to_zero() -> None:
    assert rate(0.0, 0) < 0.1
    assert rate(0.2, 1000) == 1.0
    assert 0.0 < rate(0.8, 1000) < 0.5
    assert rate(1.0, 1000) == 0.0
    falling = [rate(share / 100, 1000) for share in range(101)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.usefixtures("small")
def test_a_run_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    Run(Plan(1e-9, 3, tmp_path, compiled=False)).train()
    first = Run(Plan(1e-9, 3, tmp_path, compiled=False))
    assert first.progress.step == 1
    Run(Plan(2 * first.progress.seconds / 3600, 3, tmp_path, compiled=False)).train()
    again = Run(Plan(1.0, 3, tmp_path, compiled=False))
    assert again.progress.step > 1
    lines = (tmp_path / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["check", "check"]
    assert not torch.equal(first.parameters["qkv"], again.parameters["qkv"])


@pytest.mark.usefixtures("small")
def test_a_run_learns_from_drafts_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_ROUNDS", (0.0,))
    monkeypatch.setattr(train, "_KEYS", 2)
    run = Run(Plan(1e-9, 3, tmp_path, compiled=False))
    run.train()
    assert run.progress.rounds == 1
    cases = cases_of(tmp_path / "drafts1.jsonl")
    assert [len(case.own) for case in cases] == [4, 4]


@pytest.mark.usefixtures("small")
def test_a_run_can_go_on_with_fewer_layers_and_draws_no_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_LATER_ROUNDS", (0.0,))
    start = tmp_path / "whole"
    given = Run(Plan(1e-9, 0, start, 5, 32, compiled=False))
    given.train()
    cut = Run(Plan(1e-9, 0, tmp_path / "cut", 3, 32, compiled=False, start=start))
    for name, value in cut.parameters.items():
        whole = given.parameters[name]
        assert torch.equal(value, whole[[0, 2, 4]] if len(whole) == 5 else whole)
    cut.train()
    assert cut.progress.rounds == 0


@pytest.mark.usefixtures("small")
def test_a_run_can_go_on_from_a_model_and_teach_a_few_roles(tmp_path: Path) -> None:
    given = Run(Plan(1e-9, 0, tmp_path / "run", 2, 32, compiled=False))
    given.train()
    model = tmp_path / "run" / "model"
    plan = Plan(1e-9, 0, tmp_path / "more", 2, 32, compiled=False, start=model, mix="calling")
    more = Run(plan)
    for name, value in more.parameters.items():
        assert torch.allclose(value, given.parameters[name], atol=2e-3)  # weights are float16
    more.train()
    assert more.progress.rounds == 0


@pytest.mark.usefixtures("small")
def test_the_engine_computes_what_was_trained(tmp_path: Path) -> None:
    run = Run(Plan(1e-9, 3, tmp_path, compiled=False))
    run.train()
    folder = tmp_path / "model"
    config = load_config(folder / "config.json")
    engine = Engine(Transformer(config, load_tensors(folder / "model.safetensors", config)))
    ids = run.tokenizer.encode("There are 4 boxes. How many boxes are there?")
    row = np.array([ids], np.int32)
    ones, sees = np.ones_like(row), np.ones((1, 64, 64), np.bool_)
    places = np.arange(len(ids), dtype=np.int32)[None]
    batch = Batch(row, ones, places, 0 * ones, ones.astype(np.float32), row[..., None], sees)
    parameters = {name: torch.from_numpy(each) for name, each in read(folder).items()}
    parameters["segments"] = torch.zeros(run.shape.layers, 9, run.shape.head_width)
    states = forward(parameters, inputs(batch, run.shape), run.shape)[0]
    logits = states @ parameters["embedding"].T
    expected = torch.log_softmax(logits, -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    assert np.allclose(engine.score(ids[:1], ids[1:]), expected.numpy(), atol=1e-4)
