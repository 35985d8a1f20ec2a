"""Reads and writes a model's folder: weights, `config.json` and `tokenizer.json` of a Llama."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

__all__ = ["Arrays", "configuration", "named", "read", "stacked", "write"]

Arrays = Mapping[str, NDArray[Any]]
_HALF = np.float16
_LAYER = "model.layers.{index}.{name}.weight"
_SQUARE = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATES = ("mlp.gate_proj", "mlp.up_proj")
_NORMS = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}


def named(parameters: Arrays) -> dict[str, NDArray[Any]]:
    """Return one tensor a projection, outputs x inputs, under the usual names."""
    tensors = {
        "model.embed_tokens.weight": parameters["embedding"],
        "model.norm.weight": parameters["norm"],
    }
    for index in range(len(parameters["qkv"])):
        layer = {
            **dict(zip(_SQUARE, np.split(parameters["qkv"][index], 3, 1), strict=True)),
            **dict(zip(_GATES, np.split(parameters["gate_up"][index], 2, 1), strict=True)),
            "self_attn.o_proj": parameters["out"][index],
            "mlp.down_proj": parameters["down"][index],
            **{name: parameters[norm][index] for norm, name in _NORMS.items()},
        }
        for name, matrix in layer.items():
            tensors[_LAYER.format(index=index, name=name)] = matrix.T
    return {name: np.ascontiguousarray(each) for name, each in tensors.items()}


def stacked(tensors: Arrays) -> dict[str, NDArray[Any]]:
    """Undo `named`."""
    layers = sum(name.endswith("o_proj.weight") for name in tensors)

    def stack(*names: str) -> NDArray[Any]:
        rows = [
            np.concatenate([tensors[_LAYER.format(index=index, name=name)].T for name in names], -1)
            for index in range(layers)
        ]
        return np.stack(rows).astype(np.float32)

    return {
        "embedding": tensors["model.embed_tokens.weight"].astype(np.float32),
        "norm": tensors["model.norm.weight"].astype(np.float32),
        "qkv": stack(*_SQUARE),
        "gate_up": stack(*_GATES),
        "out": stack("self_attn.o_proj"),
        "down": stack("mlp.down_proj"),
        **{norm: stack(name) for norm, name in _NORMS.items()},
    }


def configuration(
    parameters: Arrays, heads: int, theta: float, positions: int, epsilon: float, end: int, pad: int
) -> dict[str, Any]:
    """Return the `config.json` of a Llama of this shape."""
    vocabulary, width = parameters["embedding"].shape
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": parameters["down"].shape[1],
        "num_hidden_layers": len(parameters["qkv"]),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": width // heads,
        "hidden_act": "silu",
        "rms_norm_eps": epsilon,
        "rope_theta": theta,
        "max_position_embeddings": positions,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
        "torch_dtype": "float16",
    }


def write(folder: Path, parameters: Arrays, config: Mapping[str, Any]) -> None:
    """Write weights and configuration; the tokenizer's file is already there.

    The weights appear all at once, so a reader never sees half a file.
    """
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: each.astype(_HALF) for name, each in named(parameters).items()}
    partial = folder / "model.safetensors.partial"
    save_file(tensors, str(partial), metadata={"format": "pt"})
    partial.chmod(0o644)
    partial.replace(folder / "model.safetensors")
    if "segments" in parameters:
        marks = {"segments": parameters["segments"].astype(_HALF)}
        save_file(marks, str(folder / "segments.safetensors"))


def read(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the parameters of a folder."""
    return stacked(load_file(str(folder / "model.safetensors")))
