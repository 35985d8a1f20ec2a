"""The training run: schedule in wall-clock time, curve, checkpoints, export."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import export
from tts.backends.reference.training.corpus import Batch, Corpus, Shape
from tts.backends.reference.training.model import Parameters, initial, loss
from tts.backends.reference.training.model import Shape as ModelShape
from tts.backends.reference.training.optimizer import State, fresh, step
from tts.backends.reference.training.vocabulary import CONTROLS, build

__all__ = ["Plan", "Run", "rate", "shape_of"]

_LONG = Shape(8, 320, (3, 4, 5, 6))
_SHORT = Shape(10, 256, (1, 2, 3, 4, 5))
_EARLY = Shape(14, 192, (1, 2, 3))
_EARLY_SHARE = 0.08
_CHECK = Shape(32, 320, (1, 2, 3, 4, 5, 6))
_WARM_UP = 60
_CONSTANT = 0.35
_REPORT = 100
_SAVE_SECONDS = 120.0
_CHECK_SECONDS = 150.0
_LONGEST_STEP = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    hours: float
    seed: int
    out: Path
    init: Path | None = None


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def rate(progress: float, steps: int) -> float:
    """Return the share of the full rate: a short warm-up, then constant, then linear to zero."""
    falling = (1.0 - progress) / (1.0 - _CONSTANT)
    return min(1.0, (steps + 1) / _WARM_UP) * max(0.0, min(1.0, falling))


def shape_of(index: int, progress: float, from_scratch: bool) -> Shape:
    """Return the rows of a step: short problems first when nothing is known yet."""
    if from_scratch and progress < _EARLY_SHARE:
        return _EARLY
    return _SHORT if index % 2 else _LONG


class Run:
    """A training run in a folder, which can be killed and taken up again at any time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        plan.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = plan.out / "checkpoint.safetensors"
        if not (plan.out / "tokenizer.json").exists():
            build(plan.out / "tokenizer.json")
        self.tokenizer = Tokenizer(plan.out / "tokenizer.json")
        self.shape = ModelShape(self.tokenizer.vocab_size)
        self.progress = Progress()
        self.parameters = self._begin()
        self.state = fresh(self.parameters)
        if self.checkpoint.exists():
            self._resume()

    def _begin(self) -> Parameters:
        if self.plan.init is None:
            return initial(self.shape, self.plan.seed)
        arrays = export.read(self.plan.init)
        old = Tokenizer(self.plan.init / "tokenizer.json")
        rows = export.carried_over(arrays["embedding"], old, self.tokenizer, CONTROLS)
        return {name: jnp.asarray(each) for name, each in {**arrays, "embedding": rows}.items()}

    def _resume(self) -> None:
        arrays = load_file(self.checkpoint)
        steps, tokens, seconds = arrays.pop("progress").tolist()
        self.progress = Progress(int(steps), int(tokens), seconds)
        groups: dict[str, Parameters] = {"parameters": {}, "means": {}, "squares": {}}
        for name, value in arrays.items():
            group, _, key = name.partition(".")
            groups[group][key] = jnp.asarray(value)
        self.parameters = groups["parameters"]
        self.state = State(groups["means"], groups["squares"])

    def save(self) -> None:
        """Write checkpoint and export."""
        groups = {
            "parameters": self.parameters,
            "means": self.state.means,
            "squares": self.state.squares,
        }
        flat = {
            f"{group}.{name}": np.asarray(value)
            for group, values in groups.items()
            for name, value in values.items()
        }
        flat["progress"] = np.array(astuple(self.progress), np.float64)
        partial_file = self.checkpoint.with_suffix(".partial")
        save_file(flat, str(partial_file))
        partial_file.replace(self.checkpoint)
        self._export()

    def _export(self) -> None:
        arrays: dict[str, NDArray[Any]] = {
            name: np.asarray(value) for name, value in self.parameters.items()
        }
        folder = self.plan.out / "model"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(self.plan.out / "tokenizer.json", folder / "tokenizer.json")
        config = export.configuration(
            arrays,
            heads=self.shape.heads,
            theta=self.shape.theta,
            positions=self.shape.positions,
            epsilon=self.shape.epsilon,
            end=self.tokenizer.special("<|end|>"),
            pad=self.tokenizer.special("<|pad|>"),
        )
        export.write(folder, arrays, config)

    def train(self) -> None:
        """Train until the time is up."""
        advance = jax.jit(partial(step, shape=self.shape), donate_argnums=(0, 1))
        examine = self._examiner()
        limit = self.plan.hours * 3600
        last = time.monotonic()
        saved = checked = self.progress.seconds
        recent: list[tuple[jax.Array, jax.Array]] = []
        for batch in self._batches(limit):
            share = rate(self.progress.seconds / limit, self.progress.step)
            self.parameters, self.state, aside = advance(
                self.parameters,
                self.state,
                batch,
                jnp.float32(share),
                jnp.float32(self.progress.step + 1),
            )
            recent.append(aside)
            self.progress.step += 1
            self.progress.tokens += batch.tokens.size
            if len(recent) > 1:
                recent[-2][0].block_until_ready()
            # A run that was suspended meanwhile must not lose the time.
            self.progress.seconds += min(time.monotonic() - last, _LONGEST_STEP)
            last, now = time.monotonic(), self.progress.seconds
            if self.progress.step % _REPORT == 0:
                self._log("train", share, np.mean(np.array(recent), 0).tolist())
                recent.clear()
            if now - checked > _CHECK_SECONDS:
                checked = now
                self._log("check", share, examine(self.parameters))
            if now - saved > _SAVE_SECONDS:
                saved = now
                self.save()
        self._log("check", 0.0, examine(self.parameters))
        self.save()

    def _examiner(self) -> Callable[[Parameters], list[float]]:
        batch = Corpus(self.tokenizer, "test", 0).batch(0, _CHECK)
        measure = jax.jit(lambda parameters: loss(parameters, batch, self.shape)[1])
        return lambda parameters: [float(each) for each in measure(parameters)]

    def _batches(self, limit: float) -> Iterator[Batch]:
        """Yield batches until the time is up, drawing the next while one is learned."""
        corpus = Corpus(self.tokenizer, "train", self.plan.seed)
        scratch = self.plan.init is None

        with ThreadPoolExecutor(1) as pool:

            def ask(index: int) -> Future[Batch]:
                shape = shape_of(index, self.progress.seconds / limit, scratch)
                return pool.submit(corpus.batch, index, shape)

            coming = ask(self.progress.step)
            while self.progress.seconds < limit:
                batch = coming.result()
                coming = ask(self.progress.step + 1)
                yield batch

    def _log(self, kind: str, share: float, measured: list[float]) -> None:
        entry = {
            "kind": kind,
            **asdict(self.progress),
            "rate": round(share, 4),
            "loss": round(measured[0], 5),
            "accuracy": round(measured[1], 5),
        }
        with (self.plan.out / "curve.jsonl").open("a", encoding="utf-8") as curve:
            curve.write(json.dumps(entry) + "\n")
