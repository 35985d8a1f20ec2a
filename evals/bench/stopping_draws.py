"""Samples that are drawn once and kept, for rules to be replayed on.

A problem's samples are independent draws of the bundled model, in ticket order, each at a seed
that follows from problem and ticket. Kept is what rules look at: answers, lengths, and, where that
was asked for, how sure the model was at each token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from tts.answers import AnswerFormat
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.instructions import shipped
from tts.backends.reference.weights import load_config, load_tensors
from tts.evals.bench.strategies import tasks_of
from tts.evals.bench.strategy_rows import Task
from tts.messages import Completion, TokenLogprob, Usage
from tts.problem import Candidate
from tts.stopping.confidence import GroupConfidence

__all__ = ["Drawn", "Draws", "candidates_of"]

TEMPERATURE: Final = 0.8
LIMIT: Final = 250
ALTERNATIVES: Final = 20
BATCH: Final = 160
TOGETHER: Final = 20
"""Problems that are drawn at once, then written."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One problem and its samples."""

    id: str
    level: int
    right: str
    """The right answer."""
    prompt: int
    """Tokens of the prompt."""
    answers: list[str | None]
    """As extracted, by ticket; None abstains."""
    tokens: list[int]
    """Completion tokens, by ticket."""
    confidences: list[list[float]]
    """By ticket and token: minus the mean log-probability of the 20 likeliest, three decimals.
    Empty where it was not asked for."""

    def __add__(self, later: Drawn) -> Drawn:
        """Return the same problem with further samples."""
        return replace(
            self,
            answers=self.answers + later.answers,
            tokens=self.tokens + later.tokens,
            confidences=self.confidences + later.confidences,
        )

    def first(self, samples: int) -> Drawn:
        """Return the same problem with the first samples only."""
        return replace(
            self,
            answers=self.answers[:samples],
            tokens=self.tokens[:samples],
            confidences=self.confidences[:samples],
        )

    @property
    def is_confident(self) -> bool:
        """Whether every sample tells how sure the model was."""
        return all(self.confidences)


def candidates_of(drawn: Drawn, window: int = 2048) -> list[Candidate]:
    """Return candidates like those that were drawn, as far as rules look at them.

    Texts were not kept. A trace becomes one token that is as confident as its least confident
    group of `window` tokens, which is what DeepConf takes of it.
    """
    return [
        Candidate(
            ticket=ticket,
            answer=answer,
            completion=Completion(
                text=answer or "",
                usage=Usage(prompt_tokens=drawn.prompt, completion_tokens=tokens),
                logprobs=_trace(confidences, window),
                model="reference",
            ),
        )
        for ticket, (answer, tokens, confidences) in enumerate(
            zip(drawn.answers, drawn.tokens, drawn.confidences, strict=True)
        )
    ]


def _trace(confidences: Sequence[float], window: int) -> tuple[TokenLogprob, ...] | None:
    group = GroupConfidence(window)
    for each in confidences:
        group.add(each)
    if group.lowest is None:
        return None
    return (TokenLogprob(token="", logprob=0.0, top=(("", -group.lowest),)),)


@dataclass(frozen=True, slots=True)
class Draws:
    """What is drawn.

    Attributes:
        folder: Where samples are kept, a file for each split, level and weights.
        problems: Of each level.
        samples: Of each problem.
        levels: Operations a problem takes.
        weights: Folder of the model.
        confidence: Note how sure the model was; drawing takes a third longer.
    """

    folder: Path
    problems: int
    samples: int
    levels: Sequence[int]
    weights: Path
    confidence: bool = True

    def of(self, split: str) -> list[Drawn]:
        """Return the problems of a split, `develop` or `test`, drawing what the folder lacks."""
        digest = hashlib.sha256((self.weights / "model.safetensors").read_bytes()).hexdigest()[:10]
        sampler: _Sampler | None = None
        found = []
        for level in self.levels:
            kept = _Kept(self.folder / f"{split}-{level}-{digest}.jsonl")
            tasks = tasks_of(level, split, self.problems)
            lacking = [task for task in tasks if kept.samples(task.id) < self.samples]
            for at in range(0, len(lacking), TOGETHER):
                sampler = sampler or _Sampler(self.weights, self.confidence)
                part = lacking[at : at + TOGETHER]
                asked = [range(kept.samples(task.id), self.samples) for task in part]
                for one in sampler.draw(part, split, asked):
                    kept.add(one)
            found += [kept.rows[task.id].first(self.samples) for task in tasks]
        return found


class _Kept:
    """The problems of one file; a line adds samples to a problem."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Drawn] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):  # not one that was cut off
                    self._join(Drawn(**json.loads(line)))
            path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in self.rows.values()))

    def samples(self, problem: str) -> int:
        """Samples that are kept of a problem."""
        return len(self.rows[problem].answers) if problem in self.rows else 0

    def _join(self, one: Drawn) -> None:
        self.rows[one.id] = self.rows[one.id] + one if one.id in self.rows else one

    def add(self, one: Drawn) -> None:
        """Keep samples that were drawn."""
        self._join(one)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(one)) + "\n")


class _Sampler:
    """The model of a folder, asked as the strategies ask it."""

    def __init__(self, folder: Path, confidence: bool) -> None:
        config = load_config(folder / "config.json")
        tensors = load_tensors(folder / "model.safetensors", config)
        self._engine = Engine(Transformer(config, tensors, exact=False), max_batch=BATCH)
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        self._renderer = Renderer(self._tokenizer)
        self._alternatives = ALTERNATIVES if confidence else 0

    def draw(self, tasks: Sequence[Task], split: str, tickets: Sequence[range]) -> Iterator[Drawn]:
        """Draw tickets of each problem."""
        rows = [
            [self._row(task, split, ticket) for ticket in asked]
            for task, asked in zip(tasks, tickets, strict=True)
        ]
        self._engine.run(row for each in rows for row in each)
        for task, each in zip(tasks, rows, strict=True):
            yield Drawn(
                task.id,
                task.level,
                task.right,
                len(each[0].prompt),
                [self._answer(row) for row in each],
                [len(row.tokens) for row in each],
                [_confidences(row) for row in each],
            )

    def _row(self, task: Task, split: str, ticket: int) -> Row:
        digest = hashlib.sha256(f"{split} {task.id} {ticket}".encode()).digest()
        return Row(
            prompt=self._renderer.prompt(shipped().render("solve", problem=task.text).messages),
            settings=Settings(TEMPERATURE),
            seed=int.from_bytes(digest[:8], "big") >> 1,
            limit=LIMIT,
            stops=frozenset({self._renderer.end}),
            tops=self._alternatives,
        )

    def _answer(self, row: Row) -> str | None:
        text = self._tokenizer.decode(row.tokens)
        return AnswerFormat().extract(text, complete=row.finish == "stop")


def _confidences(row: Row) -> list[float]:
    means = (-sum(each for _, each in top) / len(top) for top in row.alternatives)
    return [round(mean, 3) for mean in means]
