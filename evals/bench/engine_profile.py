"""Where our engine's time goes while it decodes, by part of its work."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time as _processor_time
from typing import Any, Final

from tts.backends.reference.bundled import bundled
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.weights import load_config, load_tensors
from tts.evals.bench.oracle_engines import prompts

_PARTS: Final = {
    ("blas.py", "__call__"): "matrix products",
    ("attention.py", "_score"): "attention: scores",
    ("attention.py", "_mix"): "attention: exponentials, mixing",
    ("attention.py", "__call__"): "attention: keys and values",
    ("attention.py", "advance"): "attention: keys and values",
    ("model.py", "_normalize"): "norms",
    ("model.py", "_gate"): "gate",
    ("model.py", "_attend"): "rotation",
    ("model.py", "hidden"): "sums between layers",
    ("sampling.py", "draw"): "drawing tokens",
}
_FILES: Final = {
    "engine.py": "book-keeping of rows",
    "attention.py": "attention: laying out rows",
    "cache.py": "cache: chunks given and grown",
    "sampling.py": "drawing tokens",
}
_NUMPY: Final = "numpy's functions written in Python"


def profile(batches: Sequence[int], steps: int) -> Iterator[dict[str, Any]]:
    """Yield each part's share of a step and its microseconds, the greatest first.

    The profiler's own time a call is in them, so they are a little more than a step takes.
    """
    config = load_config(bundled().config)
    model = Transformer(config, load_tensors(bundled().tensors, config))
    for batch in batches:
        parts = _profiled(model, batch, steps)
        for part, seconds in parts.most_common():
            yield {
                "batch": batch,
                "part": part,
                "share": seconds / parts.total(),
                "microseconds": seconds / steps * 1e6,
            }


def _profiled(model: Transformer, batch: int, steps: int) -> Counter[str]:
    engine = Engine(model, max_batch=batch)
    for ids in prompts(batch):
        engine.submit(Row(prompt=ids, settings=Settings(0.0), limit=steps + 32))
    while engine.batch < batch:
        engine.step()
    for _ in range(8):
        engine.step()
    # Without built-in functions, so that numpy's work counts where it was asked for.
    profiler = cProfile.Profile(_processor_time, builtins=False)
    profiler.enable()
    for _ in range(steps):
        engine.step()
    profiler.disable()
    parts: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]  # not in typeshed
        parts[_part(Path(file), name)] += own
    return parts


def _part(file: Path, function: str) -> str:
    if "numpy" in file.parts:
        return _NUMPY
    return _PARTS.get((file.name, function)) or _FILES.get(file.name, "the rest")
