"""The exported folder is a Llama's."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tts.backends.reference.training.export import configuration, named, read, write
from tts.backends.reference.weights import load_config, load_tensors

LAYERS, WIDTH, HIDDEN, VOCABULARY = 2, 8, 12, 30


def parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "embedding": (VOCABULARY, WIDTH),
        "norm": (WIDTH,),
        "attention_norm": (LAYERS, WIDTH),
        "mlp_norm": (LAYERS, WIDTH),
        "qkv": (LAYERS, WIDTH, 3 * WIDTH),
        "out": (LAYERS, WIDTH, WIDTH),
        "gate_up": (LAYERS, WIDTH, 2 * HIDDEN),
        "down": (LAYERS, HIDDEN, WIDTH),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def written(folder: Path) -> dict[str, np.ndarray]:
    made = parameters()
    config = configuration(made, heads=2, theta=1e4, positions=64, epsilon=1e-5, end=3, pad=0)
    write(folder, made, config)
    return made


def test_the_backend_reads_what_is_exported(tmp_path: Path) -> None:
    made = written(tmp_path)
    config = load_config(tmp_path / "config.json")
    tensors = load_tensors(tmp_path / "model.safetensors", config)
    assert set(tensors) == set(config.shapes())
    keys = tensors["model.layers.1.self_attn.k_proj.weight"]
    assert np.array_equal(keys, made["qkv"][1, :, WIDTH : 2 * WIDTH].T.astype(np.float16))
    up = tensors["model.layers.0.mlp.up_proj.weight"]
    assert np.array_equal(up, made["gate_up"][0, :, HIDDEN:].T.astype(np.float16))


def test_tensors_are_half_precision_and_the_embedding_is_tied(tmp_path: Path) -> None:
    written(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert {each.dtype for each in tensors.values()} == {np.dtype(np.float16)}
    assert "lm_head.weight" not in tensors
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["tie_word_embeddings"]
    assert config["model_type"] == "llama"
    assert config["architectures"] == ["LlamaForCausalLM"]


def test_reading_undoes_writing(tmp_path: Path) -> None:
    made = written(tmp_path)
    again = read(tmp_path)
    assert set(again) == set(made)
    for name, each in made.items():
        assert np.array_equal(again[name], each.astype(np.float16).astype(np.float32)), name


def test_projections_are_outputs_by_inputs() -> None:
    tensors = named(parameters())
    assert tensors["model.layers.0.mlp.down_proj.weight"].shape == (WIDTH, HIDDEN)
    assert tensors["model.layers.0.mlp.gate_proj.weight"].shape == (HIDDEN, WIDTH)
    assert len(tensors) == 2 + 9 * LAYERS
