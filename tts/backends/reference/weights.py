"""Reading a Llama checkpoint in Hugging Face's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tts.errors import ConfigError

__all__ = ["LlamaConfig", "Tensors", "load_config", "load_tensors"]

Tensors = dict[str, NDArray[np.floating]]
"""Tensors by their names in the file."""


class LlamaConfig(BaseModel):
    """The fields of a Llama `config.json` that decide what the network computes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    vocab_size: PositiveInt
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    rms_norm_eps: PositiveFloat
    rope_theta: PositiveFloat = 10000.0
    max_position_embeddings: PositiveInt
    tie_word_embeddings: bool = False
    declared_head_size: PositiveInt | None = Field(default=None, alias="head_dim")

    @property
    def head_size(self) -> int:
        """Channels of one attention head."""
        return self.declared_head_size or self.hidden_size // self.num_attention_heads

    @property
    def group(self) -> int:
        """Query heads that share one key-value head."""
        return self.num_attention_heads // self.num_key_value_heads

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor that the checkpoint must hold."""
        hidden, inner = self.hidden_size, self.intermediate_size
        queries = self.num_attention_heads * self.head_size
        keys = self.num_key_value_heads * self.head_size
        layer: dict[str, tuple[int, ...]] = {
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        found: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocab_size, hidden),
            "model.norm.weight": (hidden,),
        }
        if not self.tie_word_embeddings:
            found["lm_head.weight"] = (self.vocab_size, hidden)
        for index in range(self.num_hidden_layers):
            for name, shape in layer.items():
                found[f"model.layers.{index}.{name}.weight"] = shape
        return found


def load_config(path: Path) -> LlamaConfig:
    """Read a `config.json`.

    Raises:
        ConfigError: If it is missing, is not such a file, or its heads do not divide.
    """
    try:
        config = LlamaConfig.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(f"not a Llama configuration: {error}", path=str(path)) from error
    if config.num_attention_heads % config.num_key_value_heads or config.head_size % 2:
        raise ConfigError(
            "key-value heads must divide the heads, and a head have even size", path=str(path)
        )
    return config


def load_tensors(path: Path, config: LlamaConfig) -> Tensors:
    """Read a `model.safetensors` and check that it fits the configuration.

    Raises:
        ConfigError: If the file cannot be read, or a tensor is missing or of another shape.
    """
    try:
        tensors: Tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read the weights: {error}", path=str(path)) from error
    for name, shape in config.shapes().items():
        held = tensors[name].shape if name in tensors else None
        if held != shape:
            raise ConfigError(f"{name} is {held}, not {shape}", path=str(path))
    return tensors
