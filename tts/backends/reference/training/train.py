"""The training run: schedule in wall-clock time, curve, checkpoints, export."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, astuple, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import export, supply
from tts.backends.reference.training.corpus import Corpus
from tts.backends.reference.training.course import examined, rate, shape_of
from tts.backends.reference.training.model import (
    MATRICES,
    Inputs,
    Parameters,
    initial,
    inputs,
    loss,
)
from tts.backends.reference.training.model import Shape as ModelShape
from tts.backends.reference.training.optimizer import State, fresh, update
from tts.backends.reference.training.packing import Batch
from tts.backends.reference.training.roles import MIXES
from tts.backends.reference.training.sampling import sample_cases
from tts.backends.reference.training.vocabulary import build

__all__ = ["Plan", "Run"]

_ROUNDS = (0.4, 0.6, 0.8)
_LATER_ROUNDS = (0.0, 0.5)
"""Progress at which the model samples drafts of its own: in a first run, and in one that goes on
from another's weights."""
_KEYS = 900
_REPORT = 100
_SAVE_SECONDS = 120.0
_CHECK_SECONDS = 150.0
_LONGEST_STEP = 2.0


Measure = Callable[[Parameters, Inputs], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        hours: Wall-clock time in all, the model's own sampling included.
        seed: Of data and first weights.
        out: Folder; a run is taken up where it stands.
        layers: Of the network.
        width: Of the network, a multiple of 32; the feed-forward width follows.
        muon: Whether matrices are Muon's; else Adam's.
        prompt_weight: Of the loss on the problems' own texts.
        compiled: Whether to compile the network: slow to begin, then twice as fast.
        start: Folder of an earlier run, or of a model, whose weights and tokenizer a new one
            begins with. With fewer layers than it has, those kept are spread evenly, and no drafts
            are sampled: a network cut this way has to learn solving anew.
        mix: What is taught, a name of `roles.MIXES`.
        levels: Operations of the problems; none for a course from short to long ones.
        peak: Highest share of the full learning rates; less keeps more of what `start` knows.
    """

    hours: float
    seed: int
    out: Path
    layers: int = 6
    width: int = 128
    muon: bool = True
    prompt_weight: float = 0.0
    compiled: bool = True
    start: Path | None = None
    mix: str = "all"
    levels: tuple[int, ...] = ()
    peak: float = 1.0

    def shape(self, vocabulary: int) -> ModelShape:
        """Return the network's sizes."""
        hidden = self.width * 11 // 4 // 32 * 32
        return ModelShape(vocabulary, self.width, self.layers, self.width // 32, hidden)


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    rounds: int = 0


class Run:
    """A training run in a folder, which can be killed and taken up again at any time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        plan.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = plan.out / "checkpoint.safetensors"
        if not (plan.out / "tokenizer.json").exists():
            if plan.start is None:
                build(plan.out / "tokenizer.json")
            else:
                shutil.copyfile(plan.start / "tokenizer.json", plan.out / "tokenizer.json")
        self.tokenizer = Tokenizer(plan.out / "tokenizer.json")
        self.shape = plan.shape(self.tokenizer.vocab_size)
        self.progress = Progress()
        self.cut = False
        self.parameters = initial(self.shape, plan.seed)
        if plan.start is not None:
            given = _weights(plan.start, self.parameters)
            self.cut = len(given["qkv"]) > plan.layers
            self.parameters = _cut(given, plan.layers) if self.cut else given
        self.state = fresh(self.parameters, plan.muon)
        if self.checkpoint.exists():
            self._resume()
        for value in self.parameters.values():
            value.requires_grad_(True)

    def _resume(self) -> None:
        groups = _groups(self.checkpoint)
        step, tokens, seconds, rounds = groups["progress"][""].tolist()
        self.progress = Progress(int(step), int(tokens), seconds, int(rounds))
        self.parameters = groups["parameters"]
        self.state = State(groups["means"], groups["squares"], self.progress.step, self.plan.muon)

    def save(self) -> None:
        """Write checkpoint and export."""
        groups = {
            "parameters": self.parameters,
            "means": self.state.means,
            "squares": self.state.squares,
        }
        flat = {
            f"{group}.{name}": value.detach().contiguous()
            for group, values in groups.items()
            for name, value in values.items()
        }
        flat["progress"] = torch.tensor(astuple(self.progress), dtype=torch.float64)
        partial_file = self.checkpoint.with_suffix(".partial")
        save_file(flat, str(partial_file))
        partial_file.replace(self.checkpoint)
        self._export()

    def _export(self) -> None:
        arrays = {name: value.detach().numpy() for name, value in self.parameters.items()}
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
        measure = partial(loss, shape=self.shape)
        if self.plan.compiled:
            measure = torch.compile(measure, dynamic=False)
        examine = self._examiner()
        limit = self.plan.hours * 3600
        saved = checked = self.progress.seconds
        recent: list[tuple[float, float]] = []
        last = time.monotonic()
        for batch in self._batches(limit):
            share = self.plan.peak * rate(self.progress.seconds / limit, self.progress.step)
            recent.append(self._learn(batch, measure, share))
            self.progress.step += 1
            self.progress.tokens += batch.tokens.size
            # A run that was suspended meanwhile must not lose the time.
            self.progress.seconds += min(time.monotonic() - last, _LONGEST_STEP)
            last, now = time.monotonic(), self.progress.seconds
            if self.progress.step % _REPORT == 0:
                self._log("train", share, np.mean(recent, 0).tolist())
                recent.clear()
            if now - checked > _CHECK_SECONDS:
                checked = now
                self._log("check", share, examine())
            if now - saved > _SAVE_SECONDS:
                saved = now
                self.save()
        self._log("check", 0.0, examine())
        self.save()

    def _learn(self, batch: Batch, measure: Measure, share: float) -> tuple[float, float]:
        """Take one step; return loss and accuracy before it."""
        with torch.autocast("cpu", torch.bfloat16):
            cost, hits = measure(self.parameters, inputs(batch, self.shape))
        for value in self.parameters.values():
            value.grad = None
        cost.backward()
        update(self.parameters, self.state, share, self.shape)
        return cost.item(), hits.item()

    def _examiner(self) -> Callable[[], list[float]]:
        corpus = Corpus(self.tokenizer, "test", 0, mix=self.plan.mix)
        batch = corpus.batch(0, examined(self.plan.levels))
        given = inputs(batch, self.shape)

        def examine() -> list[float]:
            with torch.no_grad():
                return [float(each) for each in loss(self.parameters, given, self.shape)]

        return examine

    def _cases(self) -> Path | None:
        """Return the newest drafts, after drawing them if it is time."""
        share = self.progress.seconds / (self.plan.hours * 3600)
        path = self.plan.out / f"drafts{self.progress.rounds}.jsonl"
        if self.cut or not MIXES[self.plan.mix].drafts:
            return None
        due = _ROUNDS if self.plan.start is None else _LATER_ROUNDS
        if self.progress.rounds < len(due) and share >= due[self.progress.rounds]:
            began = time.monotonic()
            self.save()
            self.progress.rounds += 1
            path = self.plan.out / f"drafts{self.progress.rounds}.jsonl"
            keys = [f"{self.plan.seed}:{self.progress.rounds}:{key}" for key in range(_KEYS)]
            sample_cases(self.plan.out / "model", path, keys)
            self.progress.seconds += time.monotonic() - began
            self.save()
        return path if self.progress.rounds else None

    def _batches(self, limit: float) -> Iterator[Batch]:
        """Yield batches until the time is up, drawing the next ones while one is learned."""
        plan = self.plan
        tokenizer = plan.out / "tokenizer.json"
        source = supply.Source(tokenizer, plan.seed, plan.prompt_weight, plan.mix)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:

            def ask(index: int) -> Future[Batch]:
                cases = self._cases()
                share = self.progress.seconds / limit
                shape = shape_of(index, share, cases is not None, plan.levels)
                return pool.submit(supply.draw, source, cases, index, shape)

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


def _cut(parameters: Parameters, layers: int) -> Parameters:
    """Keep some layers, the first and the last among them."""
    names = (*MATRICES, "attention_norm", "mlp_norm", "segments")
    kept = np.linspace(0, len(parameters["qkv"]) - 1, layers).round().astype(int).tolist()
    return {
        name: value[kept].clone() if name in names else value for name, value in parameters.items()
    }


def _weights(folder: Path, shaped: Parameters) -> Parameters:
    """Return the weights of a run, or of a model with the marks of its paths."""
    checkpoint = folder / "checkpoint.safetensors"
    if checkpoint.exists():
        return _groups(checkpoint)["parameters"]
    arrays = export.read(folder)
    marks = load_file(folder / "segments.safetensors")["segments"].float()
    return {
        name: torch.from_numpy(arrays[name]).contiguous() if name in arrays else marks.clone()
        for name in shaped
    }


def _groups(checkpoint: Path) -> dict[str, Parameters]:
    groups: dict[str, Parameters] = {"parameters": {}, "means": {}, "squares": {}, "progress": {}}
    for name, value in load_file(checkpoint).items():
        group, _, key = name.partition(".")
        groups[group][key] = value
    return groups
