"""The network and its training: needs the extra `train`, so `make train-test` runs it by name."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tts.backends.reference.engine import Engine
from tts.backends.reference.model import Transformer
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import train
from tts.backends.reference.training.corpus import Batch, Corpus, Shape
from tts.backends.reference.training.export import read
from tts.backends.reference.training.model import Shape as ModelShape
from tts.backends.reference.training.model import forward, initial, loss
from tts.backends.reference.training.train import Plan, Run, rate
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
    for name in ("_LONG", "_SHORT", "_EARLY", "_CHECK"):
        monkeypatch.setattr(train, name, SHAPE)


def alone(batch: Batch, keep: np.ndarray) -> Batch:
    return Batch(
        batch.tokens[:, keep],
        np.ones_like(batch.tokens[:, keep]),
        np.zeros_like(batch.tokens[:, keep]),
        batch.positions[:, keep],
        batch.weights[:, keep],
        batch.choices[:, keep],
    )


def test_a_packed_branch_computes_what_it_computes_alone(tokenizer: Tokenizer) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=2, heads=2, hidden=48)
    parameters = initial(shape, 0)
    batch = Corpus(tokenizer, "train", 0).batch(0, SHAPE)
    packed = np.asarray(forward(parameters, batch, shape))[0]
    documents, branches = batch.documents[0], batch.branches[0]
    for branch in range(1, branches[documents == 1].max() + 1):
        keep = (documents == 1) & ((branches == 0) | (branches == branch))
        single = np.asarray(forward(parameters, alone(batch, keep), shape))[0]
        assert np.allclose(packed[keep], single, atol=1e-4)


def test_what_weighs_nothing_does_not_count(tokenizer: Tokenizer) -> None:
    shape = ModelShape(tokenizer.vocab_size, width=32, layers=1, heads=2, hidden=48)
    parameters = initial(shape, 0)
    batch = Corpus(tokenizer, "train", 0).batch(0, SHAPE)
    tokens = batch.tokens.copy()
    tokens[batch.documents == 0] = 5
    one, two = (loss(parameters, each, shape)[0] for each in (batch, batch._replace(tokens=tokens)))
    assert float(one) == pytest.approx(float(two), rel=1e-6)


def test_the_rate_warms_up_stays_and_falls_to_zero() -> None:
    assert rate(0.0, 0) < 0.1
    assert rate(0.2, 1000) == 1.0
    assert 0.0 < rate(0.8, 1000) < 0.5
    assert rate(1.0, 1000) == 0.0
    falling = [rate(share / 100, 1000) for share in range(101)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.usefixtures("small")
def test_a_run_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    Run(Plan(1e-9, 3, tmp_path)).train()
    first = Run(Plan(1e-9, 3, tmp_path))
    assert first.progress.step == 1
    Run(Plan(2 * first.progress.seconds / 3600, 3, tmp_path)).train()
    again = Run(Plan(1.0, 3, tmp_path))
    assert again.progress.step > 1
    lines = (tmp_path / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["check", "check"]
    assert not np.array_equal(first.parameters["qkv"], again.parameters["qkv"])


@pytest.mark.usefixtures("small")
def test_the_engine_computes_what_was_trained(tmp_path: Path) -> None:
    run = Run(Plan(1e-9, 3, tmp_path))
    run.train()
    folder = tmp_path / "model"
    config = load_config(folder / "config.json")
    engine = Engine(Transformer(config, load_tensors(folder / "model.safetensors", config)))
    ids = run.tokenizer.encode("There are 4 boxes. How many boxes are there?")
    row = np.array([ids], np.int32)
    ones = np.ones_like(row)
    places = np.arange(len(ids), dtype=np.int32)[None]
    batch = Batch(row, ones, 0 * ones, places, ones.astype(np.float32), row[..., None])
    parameters = {name: jax.numpy.asarray(each) for name, each in read(folder).items()}
    logits = forward(parameters, batch, run.shape)
    expected = jax.nn.log_softmax(logits)[0, np.arange(len(ids) - 1), ids[1:]]
    assert np.allclose(engine.score(ids[:1], ids[1:]), expected, atol=1e-4)
