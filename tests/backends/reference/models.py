"""Small models with random weights, written as the bundled ones are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.backends.reference.networks import BUNDLED, random_tensors
from tts.backends.reference.weights import LlamaConfig


def write_model(folder: Path, *, layers: int = 2, keys: int = 2) -> LlamaConfig:
    """Write `config.json` and `model.safetensors` of a network for the bundled tokenizer."""
    described = json.loads((BUNDLED / "config.json").read_text()) | {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": keys,
        "head_dim": 8,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(described))
    config = LlamaConfig.model_validate(described)
    tensors = {name: each.astype(np.float16) for name, each in random_tensors(config).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return config


def copy_tokenizer(folder: Path) -> None:
    """Put the bundled tokenizer into a folder."""
    (folder / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
