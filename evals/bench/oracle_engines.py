"""Engines that decode the bundled model, each in a process of its own that is pinned to processors.

A process reads one JSON object a line, `{"batch": 8, "tokens": 64}`, writes so many tokens after
each of so many prompts, always the most probable one, and answers with the seconds that took.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tts.backends.reference.bundled import bundled
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import draw_problem

PROMPT: Final = 96
"""Tokens of each prompt."""
_LEVEL: Final = 10
"""Operations of the problems: long enough for the prompts."""

Decode = Callable[[Sequence[tuple[int, ...]], int], None]
"""Writes so many tokens after each prompt."""


def prompts(count: int) -> list[tuple[int, ...]]:
    """Return the beginnings of held-out problems, all of one length; more begin with the fewer."""
    rng, tokenizer = random.Random("oracle bench"), Tokenizer(bundled().tokenizer)
    found: list[tuple[int, ...]] = []
    while len(found) < count:
        text = draw_problem(rng, _LEVEL, FORMS[1], "test").text
        ids = [tokenizer.special("<|user|>"), *tokenizer.encode(text)]
        if len(ids) >= PROMPT:
            found.append(tuple(ids[:PROMPT]))
    return found


def ours(threads: int, *, exact: bool) -> Decode:
    """Return our engine, which uses one thread whatever it may."""
    from tts.backends.reference.engine import Engine, Row
    from tts.backends.reference.model import Transformer
    from tts.backends.reference.sampling import Settings
    from tts.backends.reference.weights import load_config, load_tensors

    config = load_config(bundled().config)
    model = Transformer(config, load_tensors(bundled().tensors, config), exact=exact)

    def decode(asked: Sequence[tuple[int, ...]], tokens: int) -> None:
        engine = Engine(model, max_batch=len(asked))
        engine.run([Row(prompt=ids, settings=Settings(0.0), limit=tokens) for ids in asked])

    return decode


def pytorch(threads: int) -> Decode:
    """Return the network written out in PyTorch, eager, with a KV cache of fixed size."""
    import torch

    from tts.backends.reference.weights import load_config, load_tensors
    from tts.evals.bench.reference_engine import TorchDecoder

    torch.set_num_threads(threads)
    config = load_config(bundled().config)
    decoder = TorchDecoder(config, load_tensors(bundled().tensors, config))

    def decode(asked: Sequence[tuple[int, ...]], tokens: int) -> None:
        with torch.inference_mode():
            decoder.start(torch.tensor(asked))
            for _ in range(tokens):
                decoder.step()

    return decode


def transformers(threads: int) -> Decode:
    """Return `generate` of transformers, in float32."""
    from tempfile import TemporaryDirectory

    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    from tts.backends.reference.export.to_huggingface import to_huggingface

    torch.set_num_threads(threads)
    with TemporaryDirectory() as folder:
        exported = to_huggingface(bundled(), Path(folder))
        network = AutoModelForCausalLM.from_pretrained(exported, dtype="float32").eval()
    network.generation_config = GenerationConfig(pad_token_id=0)  # no end token

    def decode(asked: Sequence[tuple[int, ...]], tokens: int) -> None:
        ids = torch.tensor(asked)
        with torch.inference_mode():
            network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=tokens,
            )

    return decode


ENGINES: Final[dict[str, Callable[[int], Decode]]] = {
    "ours": lambda threads: ours(threads, exact=True),
    "ours, not exact": lambda threads: ours(threads, exact=False),
    "PyTorch": pytorch,
    "transformers": transformers,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Load an engine, then decode what is asked for until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("--processors", type=int, nargs="+", required=True)
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, options.processors)  # before any thread starts
    decode = ENGINES[options.engine](len(options.processors))
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        mine = prompts(asked["batch"])
        clock, processor = time.perf_counter(), time.process_time()
        decode(mine, asked["tokens"])
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        print(json.dumps({"clock": clock, "processor": processor}), flush=True)


if __name__ == "__main__":
    main()
