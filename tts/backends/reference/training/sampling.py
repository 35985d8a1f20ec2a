"""The model's own samples of training problems, for the roles that judge and build on drafts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.cases import pool_problem, save_cases
from tts.backends.reference.training.instructions import shipped
from tts.backends.reference.weights import load_config, load_tensors

__all__ = ["LEVELS", "sample_cases"]

LEVELS = (3, 4, 5, 6, 7, 8, 9)
_SAMPLES = 4
_TEMPERATURE = 0.9
_LIMIT = 260
_BATCH = 192


def sample_cases(folder: Path, out: Path, keys: Sequence[str]) -> None:
    """Let a model solve the training problems of these keys, four times each.

    Args:
        folder: Of the model.
        out: The file to write; see `cases.cases_of`.
        keys: One a problem.
    """
    save_cases(out, LEVELS, _solved(folder, keys))


def _solved(folder: Path, keys: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    config = load_config(folder / "config.json")
    tensors = load_tensors(folder / "model.safetensors", config)
    tokenizer = Tokenizer(folder / "tokenizer.json")
    renderer = Renderer(tokenizer)
    engine = Engine(Transformer(config, tensors, exact=False), max_batch=_BATCH)
    rows: list[Row] = []
    for key in keys:
        asked = shipped().render("solve", problem=pool_problem(key, LEVELS).text)
        rows += [
            Row(
                prompt=renderer.prompt(asked.messages),
                settings=Settings(_TEMPERATURE),
                seed=len(rows) + sample,
                limit=_LIMIT,
                stops=frozenset({renderer.end}),
            )
            for sample in range(_SAMPLES)
        ]
    engine.run(rows)
    for place, key in enumerate(keys):
        mine = rows[place * _SAMPLES : (place + 1) * _SAMPLES]
        yield key, [tokenizer.decode(row.tokens) for row in mine]
