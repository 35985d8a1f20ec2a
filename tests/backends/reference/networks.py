"""Networks to test with: the bundled sizes and a tiny one, both with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

import tts.backends.reference
from tts.backends.reference.engine import Engine, Row, TokenIds
from tts.backends.reference.model import Transformer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.weights import LlamaConfig, Tensors, load_config

BUNDLED = Path(tts.backends.reference.__file__).with_name("weights")

TINY = LlamaConfig(
    vocab_size=53,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    rms_norm_eps=1e-5,
    max_position_embeddings=160,
    tie_word_embeddings=False,
    head_dim=8,
)
"""Grouped heads, a head of its own, and a width that is not the heads' together."""


def random_tensors(config: LlamaConfig, seed: int = 0) -> Tensors:
    """Return weights that make sharp but not certain distributions."""
    generator = np.random.default_rng(seed)

    def tensor(
        name: str, shape: tuple[int, ...]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        drawn = generator.standard_normal(shape)
        if len(shape) == 1:
            return 1.0 + 0.1 * drawn
        return drawn * (0.25 if "embed" in name or "lm_head" in name else shape[1] ** -0.5)

    return {name: tensor(name, shape) for name, shape in config.shapes().items()}


def bundled_config() -> LlamaConfig:
    """Return the sizes of the bundled network."""
    return load_config(BUNDLED / "config.json")


def sharp_tensors() -> Tensors:
    """Return weights of the tiny network whose attention scores are in the thousands."""
    tensors = random_tensors(TINY)
    return {k: 1000 * v if k.endswith("q_proj.weight") else v for k, v in tensors.items()}


@cache
def network(size: str, *, double: bool = False) -> Transformer:
    """Return a network, made once.

    Args:
        size: "tiny", "bundled" for the bundled network's sizes, or "sharp": tiny with scores whose
            exponentials neither float can hold.
        double: Compute in float64 rather than float32.
    """
    config = bundled_config() if size == "bundled" else TINY
    tensors = sharp_tensors() if size == "sharp" else random_tensors(config)
    return Transformer(config, tensors, dtype=np.float64 if double else np.float32)


def prompt(config: LlamaConfig, length: int, seed: int = 0) -> TokenIds:
    """Return random ids."""
    ids = np.random.default_rng([seed, length]).integers(0, config.vocab_size, length)
    return tuple(ids.tolist())


def row(ids: TokenIds, seed: int = 0, limit: int = 12, temperature: float = 1.0) -> Row:
    """Return a row that nothing but its limit ends."""
    return Row(prompt=ids, settings=Settings(temperature), seed=seed, limit=limit)


def finished(engine: Engine, *rows: Row) -> list[Row]:
    """Submit rows, run the engine until it is idle and return them."""
    for each in rows:
        engine.submit(each)
    for _ in until_idle(engine):
        pass
    return list(rows)


def until_idle(engine: Engine) -> Iterator[None]:
    """Step until no row is left."""
    while engine.busy:
        engine.step()
        yield
