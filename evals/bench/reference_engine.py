"""Decoding speed of the bundled model: ours, and the same weights in PyTorch.

Prints tokens a second at batch 1, 8 and 64 and which share of this machine's best float32 matrix
product on one thread that is. PyTorch is measured if it is installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tts.backends.reference.blas import one_thread
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.weights import LlamaConfig, Tensors, load_config, load_tensors

try:
    import torch
    from torch.nn import functional
except ImportError:
    torch = None

WEIGHTS: Final = Path(__file__).parents[2] / "tts/backends/reference/weights"
PROMPT: Final = 128
"""Tokens of each prompt."""
BATCHES: Final = (1, 8, 64)


def operations(config: LlamaConfig) -> int:
    """Return the multiplications and additions of the weight matrices for one token."""
    matrices = [shape for shape in config.shapes().values() if len(shape) == 2]
    return 2 * sum(rows * columns for rows, columns in matrices)


def peak() -> float:
    """Return the operations a second of a large float32 product on one thread."""
    size = 1024
    left = np.random.default_rng(0).standard_normal((size, size), np.float32)
    times = []
    with one_thread():
        for _ in range(12):
            start = time.perf_counter()
            left @ left
            times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def median_step(step: Callable[[], object], steps: int) -> float:
    """Return the median seconds of a step."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def prompts(config: LlamaConfig, batch: int, shared: bool) -> list[tuple[int, ...]]:
    """Return random prompts, all the same if shared."""
    drawn = np.random.default_rng(1).integers(16, config.vocab_size, (batch, PROMPT))
    rows: list[tuple[int, ...]] = [tuple(row) for row in drawn.tolist()]
    return rows[:1] * batch if shared else rows


def ours(model: Transformer, batch: int, shared: bool, steps: int) -> float:
    """Return our tokens a second."""
    engine = Engine(model, max_batch=batch)
    for seed, prompt in enumerate(prompts(model.config, batch, shared)):
        engine.submit(Row(prompt=prompt, settings=Settings(), seed=seed, limit=steps + 100))
    while engine.batch < batch:
        engine.step()
    engine.step()
    return batch / median_step(engine.step, steps)


class TorchDecoder:
    """The same network in PyTorch, eager, with a preallocated KV cache."""

    def __init__(self, config: LlamaConfig, tensors: Tensors) -> None:
        self.config = config
        weights = {k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()}
        self.embedding, self.norm = (
            weights["model.embed_tokens.weight"],
            weights["model.norm.weight"],
        )
        self.layers = []
        for index in range(config.num_hidden_layers):
            part = {
                name.split(".", 3)[3].removesuffix(".weight"): tensor
                for name, tensor in weights.items()
                if name.startswith(f"model.layers.{index}.")
            }
            part["qkv"] = torch.cat([part[f"self_attn.{n}_proj"] for n in "qkv"])
            part["gate_up"] = torch.cat([part["mlp.gate_proj"], part["mlp.up_proj"]])
            self.layers.append(part)
        half = torch.arange(0, config.head_size, 2) / config.head_size
        angles = torch.arange(config.max_position_embeddings)[:, None] * config.rope_theta**-half
        self.cos, self.sin = angles.cos(), angles.sin()

    def start(self, tokens: Any) -> None:
        """Take prompts [batch, tokens]; the cache is filled by decoding them."""
        batch, length = tokens.shape
        config = self.config
        shape = (
            batch,
            config.num_key_value_heads,
            config.max_position_embeddings,
            config.head_size,
        )
        self.keys = [torch.zeros(shape) for _ in self.layers]
        self.values = [torch.zeros(shape) for _ in self.layers]
        self.place = 0
        for position in range(length):
            self.tokens = tokens[:, position]
            self.step()

    def step(self) -> None:
        """Feed the last tokens, all at the same position, and draw the next."""
        config, place = self.config, self.place
        x = functional.embedding(self.tokens, self.embedding)
        for index, part in enumerate(self.layers):
            x = x + self._attend(index, part, self._normalize(x, part["input_layernorm"]), place)
            gate, up = functional.linear(
                self._normalize(x, part["post_attention_layernorm"]), part["gate_up"]
            ).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * up, part["mlp.down_proj"])
        logits = functional.linear(self._normalize(x, self.norm), self.embedding)
        probabilities = torch.softmax(logits, -1)
        self.tokens = torch.multinomial(probabilities, 1)[:, 0]
        self.logprobs = probabilities.gather(1, self.tokens[:, None]).log()
        self.place = (place + 1) % config.max_position_embeddings

    def _normalize(self, x: Any, weight: Any) -> Any:
        return functional.rms_norm(x, x.shape[-1:], weight, self.config.rms_norm_eps)

    def _attend(self, index: int, part: dict[str, Any], x: Any, place: int) -> Any:
        config, batch = self.config, len(x)
        heads, keys = config.num_attention_heads, config.num_key_value_heads
        both = functional.linear(x, part["qkv"]).view(batch, heads + 2 * keys, -1)
        left, right = both[:, : heads + keys].chunk(2, -1)
        cos, sin = self.cos[place], self.sin[place]
        turned = torch.cat([left * cos - right * sin, left * sin + right * cos], -1)
        self.keys[index][:, :, place] = turned[:, heads:]
        self.values[index][:, :, place] = both[:, heads + keys :]
        mixed = functional.scaled_dot_product_attention(
            turned[:, :heads, None],
            self.keys[index][:, :, : place + 1],
            self.values[index][:, :, : place + 1],
            enable_gqa=heads != keys,
        )
        return functional.linear(mixed.reshape(batch, -1), part["self_attn.o_proj"])


def theirs(decoder: TorchDecoder, batch: int, threads: int, steps: int) -> float:
    """Return PyTorch's tokens a second."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        decoder.start(torch.tensor(prompts(decoder.config, batch, shared=False)))
        return batch / median_step(decoder.step, steps)


def measure(steps: int) -> Iterator[dict[str, object]]:
    """Yield one result a line: engine, batch, tokens a second, share of the peak."""
    config = load_config(WEIGHTS / "config.json")
    tensors = load_tensors(WEIGHTS / "model.safetensors", config)
    best, cost = peak(), operations(config)
    models = {
        "exact replay": Transformer(config, tensors),
        "not exact": Transformer(config, tensors, exact=False),
    }
    decoder = TorchDecoder(config, tensors) if torch is not None else None
    for batch in BATCHES:
        rates = {
            f"ours, {kind}, {'one prompt' if shared else 'own prompts'}": ours(
                model, batch, shared, steps
            )
            for kind, model in models.items()
            for shared in (False, True)
        }
        if decoder is not None:
            for threads in (1, 2):
                name = f"PyTorch, own prompts, {threads} thread{'s' * (threads > 1)}"
                rates[name] = theirs(decoder, batch, threads, steps)
        for engine, rate in rates.items():
            yield {"engine": engine, "batch": batch, "rate": rate, "share": rate * cost / best}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    options = parser.parse_args(arguments)
    if torch is None and not options.json:
        print("PyTorch is not installed: pip install 'tts-orchestrator[bench]'")
    for result in measure(steps=16 if options.quick else 64):
        if options.json:
            print(json.dumps(result))
        else:
            print(
                "{engine:<40} batch {batch:>2}  {rate:8.0f} tokens/s  {share:6.1%}".format(**result)
            )


if __name__ == "__main__":
    main()
