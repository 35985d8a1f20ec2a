"""What the bundled model solves, by the operations a problem takes, and what samples buy.

Held-out problems at fixed seeds, in both forms, with the prompt that the strategies ship. Every
number has a bootstrap interval over problems; gains over one sample have paired ones.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference import weights
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.instructions import shipped
from tts.backends.reference.training.solutions import answer_of
from tts.backends.reference.training.wording import FORMS, Form
from tts.backends.reference.training.world import Problem, draw_problem
from tts.backends.reference.weights import load_config, load_tensors
from tts.evals.statistics import Interval, bootstrap
from tts.messages import Message

WEIGHTS: Final = Path(weights.__file__).with_name("weights")
LEVELS: Final = (1, 2, 3, 4, 5, 6, 7, 8)
SAMPLES: Final = 16
TEMPERATURE: Final = 0.8
LIMIT: Final = 250
BATCH: Final = 192

Scores = NDArray[np.float64]
"""One number a problem."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion."""

    answer: int | None
    logprob: float
    """Mean over tokens."""
    tokens: int
    """Of the prompt and the completion."""


def majority(answers: Sequence[int | None]) -> int | None:
    """Return the most frequent answer, of equals the first; None if there is none."""
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def pass_at_1(samples: Sequence[Sample], right: int) -> float:
    """Return the share of right samples."""
    return sum(each.answer == right for each in samples) / len(samples)


def majority_at(count: int, samples: Sequence[Sample], right: int) -> float:
    """Return how often the majority of `count` is right, over disjoint groups."""
    answers = [each.answer for each in samples]
    groups = [answers[at : at + count] for at in range(0, len(answers) - count + 1, count)]
    return sum(majority(group) == right for group in groups) / len(groups)


def best_by_logprob(samples: Sequence[Sample], right: int) -> float:
    """Return 1 if the sample of the highest mean log-probability is right, else 0."""
    return float(max(samples, key=lambda each: each.logprob).answer == right)


def oracle(samples: Sequence[Sample], right: int) -> float:
    """Return 1 if any sample is right, else 0."""
    return float(any(each.answer == right for each in samples))


def problems_of(level: int, form: Form, count: int) -> list[Problem]:
    """Return the first held-out problems of a level; more of them begin with the fewer."""
    rng = random.Random(f"levels:{level}:{form}")
    return [draw_problem(rng, level, form, "test") for _ in range(count)]


class Solver:
    """The model of a folder, asked in one way.

    Args:
        folder: The weights.
        instruction: What follows a problem and a line end; None for the shipped prompt.
    """

    def __init__(self, folder: Path, instruction: str | None) -> None:
        config = load_config(folder / "config.json")
        tensors = load_tensors(folder / "model.safetensors", config)
        self._model = Transformer(config, tensors, exact=False)
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        self._renderer = Renderer(self._tokenizer)
        self._instruction = instruction

    def prompt(self, problem: Problem) -> tuple[int, ...]:
        """Return the ids that ask for a solution."""
        if self._instruction is None:
            return self._renderer.prompt(shipped().render("solve", problem=problem.text).messages)
        text = f"{problem.text}\n{self._instruction}"
        return self._renderer.prompt([Message(role="user", content=text)])

    def solve(
        self, problems: Sequence[Problem], count: int, temperature: float
    ) -> list[list[Sample]]:
        """Return `count` samples of each problem, at seeds of their own."""
        engine = Engine(self._model, max_batch=BATCH)
        rows = [
            Row(
                prompt=self.prompt(problem),
                settings=Settings(temperature),
                seed=index * SAMPLES + sample,
                limit=LIMIT,
                stops=frozenset({self._renderer.end}),
            )
            for index, problem in enumerate(problems)
            for sample in range(count)
        ]
        engine.run(rows)
        samples = [self._sample(row) for row in rows]
        return [samples[at : at + count] for at in range(0, len(samples), count)]

    def _sample(self, row: Row) -> Sample:
        text = self._tokenizer.decode(row.tokens)
        mean = sum(row.logprobs) / len(row.logprobs)
        return Sample(answer_of(text), mean, len(row.prompt) + len(row.tokens))


@dataclass(frozen=True, slots=True)
class Group:
    """What was measured on the problems of a level, in one form or in all."""

    level: int
    form: str
    problems: int
    scores: dict[str, Interval]
    gains: dict[str, Interval]
    """Paired differences to pass@1."""
    tokens: dict[str, float]
    """Prompt and completion tokens a problem: of one sample, of all, and of the longest, which is
    what parallel samples wait for. The prompt counts with every sample."""


def per_problem(
    problems: Sequence[Problem],
    samples: Sequence[Sequence[Sample]],
    greedy: Sequence[Sequence[Sample]],
) -> dict[str, Scores]:
    """Return each measure as one number a problem."""
    rows = [
        {
            "greedy": pass_at_1(one, problem.answer),
            "pass@1": pass_at_1(drawn, problem.answer),
            "maj@4": majority_at(4, drawn, problem.answer),
            f"maj@{SAMPLES}": majority_at(SAMPLES, drawn, problem.answer),
            f"best@{SAMPLES}": best_by_logprob(drawn, problem.answer),
            f"oracle@{SAMPLES}": oracle(drawn, problem.answer),
            "tokens of one": sum(each.tokens for each in drawn) / len(drawn),
            "total tokens": float(sum(each.tokens for each in drawn)),
            "critical tokens": float(max(each.tokens for each in drawn)),
        }
        for problem, drawn, one in zip(problems, samples, greedy, strict=True)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def summary(level: int, form: str, columns: dict[str, Scores]) -> Group:
    """Return the measures of a group with their intervals."""
    scores = {name: bootstrap(each) for name, each in columns.items() if "tokens" not in name}
    gains = {
        name: bootstrap(columns[name] - columns["pass@1"])
        for name in (f"maj@{SAMPLES}", f"best@{SAMPLES}")
    }
    tokens = {name: float(each.mean()) for name, each in columns.items() if "tokens" in name}
    return Group(level, form, len(columns["pass@1"]), scores, gains, tokens)


def measure(solver: Solver, level: int, forms: Sequence[Form], count: int) -> list[Group]:
    """Return the groups of a level: each form, and all together if there are several."""
    groups: list[Group] = []
    parts: list[dict[str, Scores]] = []
    for form in forms:
        problems = problems_of(level, form, count // len(forms))
        samples = solver.solve(problems, SAMPLES, TEMPERATURE)
        greedy = solver.solve(problems, 1, 0.0)
        parts.append(per_problem(problems, samples, greedy))
        groups.append(summary(level, form, parts[-1]))
    if len(forms) > 1:
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        groups.append(summary(level, "both", whole))
    return groups


def show(group: Group) -> None:
    """Print a group."""
    print(f"\nlevel {group.level}, {group.form}, {group.problems} problems")
    for name, interval in group.scores.items():
        gain = group.gains.get(name)
        print(f"  {name:10} {interval}" + (f"   over pass@1 {gain}" if gain else ""))
    print("  " + ", ".join(f"{name} {each:.0f}" for name, each in group.tokens.items()), flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="60 problems a level")
    parser.add_argument("--problems", type=int, default=500, help="a level, both forms together")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="of the weights")
    parser.add_argument("--levels", type=int, nargs="+", default=list(LEVELS))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--instruction", help="instead of the shipped prompt's")
    given = parser.parse_args()
    solver = Solver(given.folder, given.instruction)
    started, groups = time.monotonic(), list[Group]()
    for level in given.levels:
        found = measure(solver, level, given.forms, 60 if given.quick else given.problems)
        groups += found
        if not given.json:
            for group in found:
                show(group)
    seconds = time.monotonic() - started
    if given.json:
        print(json.dumps({"seconds": seconds, "groups": [asdict(each) for each in groups]}))
    else:
        print(f"\n{seconds:.0f} s")


if __name__ == "__main__":
    main()
