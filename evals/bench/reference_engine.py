"""Decoding speed of the bundled model: ours, and the same weights in PyTorch.

Prints tokens a second at batch 1, 8 and 64, by the clock and by processor time (the same on an idle
machine with one thread), and which share of the best float32 matrix product on one thread the
latter is. PyTorch is measured if it is installed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

import tts.backends.reference
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

WEIGHTS: Final = Path(tts.backends.reference.__file__).with_name("weights")
PROMPT: Final = 128
"""Tokens of each prompt."""
BATCHES: Final = (1, 8, 64)
BURST: Final = 8
"""Steps of one engine before the next has its turn."""
STEPS: Final = 512
"""More steps than are ever measured."""


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
        for _ in range(24):
            start = time.process_time()
            left @ left
            times.append(time.process_time() - start)
    return 2 * size**3 / min(times)


def prompts(config: LlamaConfig, batch: int, shared: bool) -> list[tuple[int, ...]]:
    """Return random prompts, all the same if shared."""
    drawn = np.random.default_rng(1).integers(16, config.vocab_size, (batch, PROMPT))
    rows: list[tuple[int, ...]] = [tuple(row) for row in drawn.tolist()]
    return rows[:1] * batch if shared else rows


def filled(model: Transformer, batch: int, shared: bool, limit: int) -> tuple[Engine, list[Row]]:
    """Return an engine whose batch is full, and its rows."""
    engine = Engine(model, max_batch=batch)
    rows = [
        Row(prompt=prompt, settings=Settings(), seed=seed, limit=limit)
        for seed, prompt in enumerate(prompts(model.config, batch, shared))
    ]
    for row in rows:
        engine.submit(row)
    while engine.batch < batch:
        engine.step()
    return engine, rows


def differing(model: Transformer, batch: int, limit: int) -> float:
    """Return the share of a batch's texts that are others than when each is written alone."""
    engine, rows = filled(model, batch, shared=False, limit=limit)
    engine.run(())
    count = 0
    for row in rows:
        alone = Row(prompt=row.prompt, settings=row.settings, seed=row.seed, limit=limit)
        engine.run([alone])
        count += alone.tokens != row.tokens
    return count / batch


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

    def stepping(self, batch: int, threads: int) -> Callable[[], None]:
        """Return a step of a fresh batch on so many threads."""
        torch.set_num_threads(1)
        with torch.inference_mode():
            self.start(torch.tensor(prompts(self.config, batch, shared=False)))

        def step() -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                self.step()

        return step


def contenders(
    models: dict[str, Transformer], tensors: Tensors, batch: int
) -> dict[str, Callable[[], object]]:
    """Return one step of each engine, by the engine's name."""
    found: dict[str, Callable[[], object]] = {}
    for kind, model in models.items():
        for shared in (False, True):
            name = f"ours, {kind}, {'one prompt' if shared else 'own prompts'}"
            found[name] = filled(model, batch, shared, limit=STEPS)[0].step
    if torch is not None:
        config = next(iter(models.values())).config
        for threads in (1, 2):
            name = f"PyTorch, own prompts, {threads} thread{'s' * (threads > 1)}"
            found[name] = TorchDecoder(config, tensors).stepping(batch, threads)
    return found


def seconds(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return each engine's seconds a step, by the clock and of the processor.

    The engines take turns, and the best of the rounds counts: others may use the machine.
    """
    best = dict.fromkeys(steps, (float("inf"), float("inf")))
    for _ in range(rounds):
        for name, step in steps.items():
            clock, processor = time.perf_counter(), time.process_time()
            for _ in range(BURST):
                step()
            clock, processor = time.perf_counter() - clock, time.process_time() - processor
            best[name] = min(best[name][0], clock / BURST), min(best[name][1], processor / BURST)
    return best


def measure(rounds: int) -> Iterator[dict[str, str | float]]:
    """Yield one result at a time: engine, batch, tokens a second, share of the peak."""
    config = load_config(WEIGHTS / "config.json")
    tensors = load_tensors(WEIGHTS / "model.safetensors", config)
    top, cost = peak(), operations(config)
    models = {
        "exact replay": Transformer(config, tensors),
        "not exact": Transformer(config, tensors, exact=False),
    }
    for batch in BATCHES:
        steps = contenders(models, tensors, batch)
        for engine, (clock, processor) in seconds(steps, rounds).items():
            yield {
                "engine": engine,
                "batch": batch,
                "rate": batch / clock,
                "rate_processor": batch / processor,
                "share": batch / processor * cost / top,
            }
    for kind, model in models.items():
        share = differing(model, batch=64, limit=4 * rounds)
        yield {"engine": f"ours, {kind}", "batch": 64, "differing": share}


def shown(result: dict[str, str | float]) -> str:
    """Return a result as a line."""
    line = f"{result['engine']:<38} batch {result['batch']:>2}  "
    if "differing" in result:
        return line + f"{result['differing']:.1%} of texts differ from those written alone"
    return (
        f"{line}{result['rate']:6.0f} tokens/s  {result['rate_processor']:6.0f} tokens a processor"
        f" second = {result['share']:5.1%} of its peak"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    if torch is None and not options.json:
        print("PyTorch is not installed: pip install 'tts-orchestrator[bench]'")
    for result in measure(rounds=4 if options.quick else 16):
        print(json.dumps(result) if options.json else shown(result), flush=True)


if __name__ == "__main__":
    main()
