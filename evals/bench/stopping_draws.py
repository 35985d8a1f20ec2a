"""Samples that are drawn once and kept, for rules to be replayed on.

A problem's samples are independent draws of the bundled model, in ticket order, each at a seed that
follows from the problem and the ticket. Kept is what rules look at: answers, lengths, and how sure
the model was at each token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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

__all__ = ["Drawn", "candidates_of", "draw_all"]

TEMPERATURE: Final = 0.8
LIMIT: Final = 250
ALTERNATIVES: Final = 20
BATCH: Final = 160
TOGETHER: Final = 20
"""Problems that are drawn at once, then written."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One problem, sampled in full."""

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
    """By ticket and token: minus the mean log-probability of the 20 likeliest, three decimals."""


def candidates_of(drawn: Drawn) -> list[Candidate]:
    """Return candidates like those that were drawn; their texts were not kept."""
    return [
        Candidate(
            ticket=ticket,
            answer=answer,
            completion=Completion(
                text=answer or "",
                usage=Usage(prompt_tokens=drawn.prompt, completion_tokens=tokens),
                logprobs=tuple(
                    TokenLogprob(token="", logprob=0.0, top=(("", -each),)) for each in confidences
                ),
                model="reference",
            ),
        )
        for ticket, (answer, tokens, confidences) in enumerate(
            zip(drawn.answers, drawn.tokens, drawn.confidences, strict=True)
        )
    ]


def draw_all(
    folder: Path, split: str, levels: Sequence[int], problems: int, samples: int, weights: Path
) -> list[Drawn]:
    """Return so many problems of each level, sampled in full; what the folder holds is not drawn.

    Args:
        folder: Where samples are kept, a file a split, level, number of samples and weights.
        split: `develop` or `test`; they share no problem.
        levels: Operations a problem takes.
        problems: Of each level.
        samples: Of each problem.
        weights: Folder of the model.
    """
    digest = hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()[:10]
    sampler: _Sampler | None = None
    found = []
    for level in levels:
        kept = _Kept(folder / f"{split}-{level}-{samples}-{digest}.jsonl")
        tasks = tasks_of(level, split, problems)
        missing = [task for task in tasks if task.id not in kept.rows]
        for at in range(0, len(missing), TOGETHER):
            sampler = sampler or _Sampler(weights)
            for one in sampler.draw(missing[at : at + TOGETHER], split, samples):
                kept.add(one)
        found += [kept.rows[task.id] for task in tasks]
    return found


class _Kept:
    """The problems of one file, a JSON line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Drawn] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):  # not one that was cut off
                    one = Drawn(**json.loads(line))
                    self.rows[one.id] = one
            path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in self.rows.values()))

    def add(self, one: Drawn) -> None:
        self.rows[one.id] = one
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(one)) + "\n")


class _Sampler:
    """The model of a folder, asked as the strategies ask it."""

    def __init__(self, folder: Path) -> None:
        config = load_config(folder / "config.json")
        tensors = load_tensors(folder / "model.safetensors", config)
        self._engine = Engine(Transformer(config, tensors, exact=False), max_batch=BATCH)
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        self._renderer = Renderer(self._tokenizer)

    def draw(self, tasks: Sequence[Task], split: str, samples: int) -> Iterator[Drawn]:
        rows = [[self._row(task, split, ticket) for ticket in range(samples)] for task in tasks]
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
            tops=ALTERNATIVES,
        )

    def _answer(self, row: Row) -> str | None:
        text = self._tokenizer.decode(row.tokens)
        return AnswerFormat().extract(text, complete=row.finish == "stop")


def _confidences(row: Row) -> list[float]:
    means = (-sum(each for _, each in top) / len(top) for top in row.alternatives)
    return [round(mean, 3) for mean in means]
