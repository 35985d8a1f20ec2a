"""Which roles the bundled model has learned, on held-out problems and on its own samples.

    python -m tts.evals.bench.reference_roles [--json] [--quick]

Every rate has a 95% bootstrap interval over problems; an AUC is over pooled samples.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.calling import TOOLS
from tts.backends.reference.training.countdown import draw_countdown, reaches
from tts.backends.reference.training.instructions import WORDINGS, shipped
from tts.backends.reference.training.solutions import answer_of
from tts.backends.reference.training.world import Problem, apply, draw_problem
from tts.backends.reference.weights import load_config, load_tensors
from tts.critic import soundness
from tts.evals.bench.reference_levels import WEIGHTS, majority, problems_of
from tts.evals.statistics import Interval, bootstrap
from tts.messages import Message, TokenLogprob

_CALL: Final = re.compile(r"(\d+)\. (add|sub|mul)\((\$?\d+), (\$?\d+)\)")
_ROOM: Final = 64
"""Tokens of an answer, without which a prompt is not asked."""
_SIGNS: Final = {"add": "+", "sub": "-", "mul": "*"}


@dataclass(frozen=True, slots=True)
class Text:
    """A completion."""

    text: str
    logprob: float
    """Mean over tokens."""
    yes: float
    """Probability of Yes against No at the first token."""
    sound: float | None
    """What a critique gives the solution that it checks; None for what is none."""


class Model:
    """The model of a folder, asked for texts."""

    def __init__(self, folder: Path) -> None:
        config = load_config(folder / "config.json")
        tensors = load_tensors(folder / "model.safetensors", config)
        self._model = Transformer(config, tensors, exact=False)
        self._context = config.max_position_embeddings
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        self._renderer = Renderer(self._tokenizer)
        self._yes, self._no = (self._tokenizer.encode(word)[0] for word in ("Yes", "No"))

    def fits(self, prompt: str) -> bool:
        """Return whether a prompt leaves room for an answer in the context."""
        tokens = self._renderer.prompt([Message(role="user", content=prompt)])
        return len(tokens) + _ROOM <= self._context

    def ask(
        self, prompts: Sequence[str], temperature: float = 0.0, count: int = 1, limit: int = 250
    ) -> list[list[Text]]:
        """Return `count` completions of each prompt."""
        engine = Engine(self._model, max_batch=192)
        asked = [
            self._renderer.prompt([Message(role="user", content=prompt)]) for prompt in prompts
        ]
        rows = [
            Row(
                prompt=tokens,
                settings=Settings(temperature),
                seed=place * count + sample,
                limit=min(limit, self._context - len(tokens)),
                stops=frozenset({self._renderer.end}),
                tops=20 if limit == 1 else 0,
            )
            for place, tokens in enumerate(asked)
            for sample in range(count)
        ]
        engine.run(rows)
        texts = [self._text(row) for row in rows]
        return [texts[at : at + count] for at in range(0, len(texts), count)]

    def _text(self, row: Row) -> Text:
        tops = dict(row.alternatives[0]) if row.alternatives else {}
        yes, no = (float(np.exp(tops.get(each, -30.0))) for each in (self._yes, self._no))
        text = self._tokenizer.decode(row.tokens)
        pieces = [self._tokenizer.decode([token]) for token in row.tokens]
        logprobs = [
            TokenLogprob(token=piece, logprob=min(0.0, float(logprob)))
            for piece, logprob in zip(pieces, row.logprobs, strict=True)
        ]
        mean = sum(row.logprobs) / len(row.logprobs)
        return Text(text, mean, yes / (yes + no), soundness("".join(pieces).strip(), logprobs))


def prompt(role: str, problem: Problem, **variables: Any) -> str:
    """Return a role's shipped prompt."""
    return shipped().render(role, problem=problem.text, **variables).messages[0].content


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the probability that a right one scores above a wrong one, ties counted half."""
    values, right = np.array(scores), np.array(labels, bool)
    if right.all() or not right.any():
        return float("nan")
    ahead = values[right][:, None] - values[~right]
    return float((ahead > 0).mean() + 0.5 * (ahead == 0).mean())


def is_valid_outline(problem: Problem, text: str) -> bool:
    """Check an outline exactly: every hop as the problem has it, beginning at the question."""
    wanted = [problem.target]
    for hop in text.split(", "):
        name, *rest = re.findall(r"[a-z]+", hop) or [""]
        needs = {word for word in rest if word not in ("from", "and", "given")}
        if name not in wanted or needs != set(problem.needs(name)):
            return False
        wanted += needs
    return set(wanted) == set(problem.needed)


def is_valid_decomposition(problem: Problem, text: str) -> bool:
    """Check sub-problems exactly: all that is to be computed, each after the ones it needs."""
    names: dict[str, str] = {}
    for line in text.split("\n"):
        found = re.fullmatch(r"(\d+)\. ([a-z]+) from [a-z ]+ \[([\d, ]*)\]", line)
        if not found or found[1] != str(len(names) + 1) or found[2] not in problem.needed:
            return False
        solved = {names.get(number) for number in re.findall(r"\d+", found[3])}
        if solved != {need for need in problem.needs(found[2]) if problem.needs(need)}:
            return False
        names[found[1]] = found[2]
    return sorted(names.values()) == sorted(each for each in problem.needed if problem.needs(each))


def executed(text: str) -> int | None:
    """Return the last result of planned calls; None if they cannot be run."""
    results: dict[str, int] = {}
    last = None
    for number, function, *sides in _CALL.findall(text):
        values = [results.get(side[1:]) if side[0] == "$" else int(side) for side in sides]
        if values[0] is None or values[1] is None:
            return None
        last = results[number] = apply(values[0], _SIGNS[function], values[1])
    return last


def planning(model: Model, problems: Sequence[Problem]) -> dict[str, Interval | float]:
    """Outlines, sub-problems and function calls."""
    asked = model.ask([prompt("outline", each, count=4) for each in problems], 1.0, 2, 400)
    outlines = [
        [line.partition(". ")[2] for one in texts for line in one.text.split("\n")]
        for texts in asked
    ]
    valid = [
        [text for text in texts if is_valid_outline(problem, text)]
        for problem, texts in zip(problems, outlines, strict=True)
    ]
    chosen = [(problem, texts[0]) for problem, texts in zip(problems, valid, strict=True) if texts]
    guided = model.ask([prompt("guided", each, outline=text) for each, text in chosen], 0.8, 4)
    plain = model.ask([prompt("solve", each) for each, _ in chosen], 0.8, 4)
    gains = [
        _share(one, p) - _share(two, p)
        for (p, _), one, two in zip(chosen, guided, plain, strict=True)
    ]
    parts = model.ask([prompt("decompose", each) for each in problems], 0.8)
    calls = model.ask([prompt("plan", each, tools=TOOLS) for each in problems], 0.8, 1, 400)
    return {
        "outlines valid": _mean([len(v) / len(o) for v, o in zip(valid, outlines, strict=True)]),
        "distinct of 8 outlines": _mean([len(set(texts)) for texts in outlines]),
        "guided by a valid outline - plain, same problems": _mean(gains),
        "decompositions valid": _mean(
            [is_valid_decomposition(p, t[0].text) for p, t in zip(problems, parts, strict=True)]
        ),
        "planned calls give the answer": _mean(
            [executed(t[0].text) == p.answer for p, t in zip(problems, calls, strict=True)]
        ),
    }


def judging(model: Model, problems: Sequence[Problem]) -> dict[str, Interval | float]:
    """Verdicts on the model's own samples, and what distilling and merging four of them gives."""
    drawn = model.ask([prompt("solve", each) for each in problems], 0.8, 4)
    pairs = [(p, one) for p, texts in zip(problems, drawn, strict=True) for one in texts]
    right = [answer_of(one.text) == p.answer for p, one in pairs]
    yes = model.ask([prompt("verify", p, solution=one.text) for p, one in pairs], limit=1)
    checked = model.ask([prompt("critique", p, solution=one.text) for p, one in pairs], limit=400)
    verdicts = [float("Correct: Yes" in one[0].text) for one in checked]
    sound = [0.5 if one[0].sound is None else one[0].sound for one in checked]
    drafts = [[one.text for one in texts] for texts in drawn]
    found: dict[str, Interval | float] = {
        "AUC of yes/no": auc([one[0].yes for one in yes], right),
        "AUC of the critique's verdict": auc(verdicts, right),
        "AUC of the critique's marks": auc(sound, right),
        "AUC of the mean log-probability": auc([one.logprob for _, one in pairs], right),
        "verdict agrees with the truth": _mean(
            [(v > 0.5) == r for v, r in zip(verdicts, right, strict=True)]
        ),
    }
    return found | joining(model, problems, drafts)


def joining(
    model: Model, problems: Sequence[Problem], drafts: Sequence[Sequence[str]]
) -> dict[str, Interval | float]:
    """What distilling and merging four drafts gives, where all of them fit into a prompt."""
    asked = [
        (p, d, prompt("distil", p, drafts=d, bound=128), prompt("merge", p, attempts=d))
        for p, d in zip(problems, drafts, strict=True)
    ]
    fitting = [each for each in asked if model.fits(each[2]) and model.fits(each[3])]
    noted = model.ask([distil for _, _, distil, _ in fitting])
    refined = model.ask(
        [
            prompt("refine", p, workspace=one[0].text)
            for (p, *_), one in zip(fitting, noted, strict=True)
        ]
    )
    merged = model.ask([merge for *_, merge in fitting])
    votes = [majority([answer_of(t) for t in d]) == p.answer for p, d, *_ in fitting]

    def over_vote(texts: Sequence[Sequence[Text]]) -> Interval:
        rows = zip(fitting, texts, votes, strict=True)
        return _mean([(answer_of(t[0].text) == p.answer) - float(v) for (p, *_), t, v in rows])

    return {
        "four drafts fit into a prompt": len(fitting) / len(problems),
        "majority of 4": _mean(votes),
        "distil and refine - majority of 4": over_vote(refined),
        "merge - majority of 4": over_vote(merged),
    }


def others(model: Model, count: int) -> dict[str, Interval | float]:
    """Difficulty over all levels, and Countdown."""
    problems = [
        problems_of(level, "facts", count // 8)[at]
        for level in range(1, 9)
        for at in range(count // 8)
    ]
    rated = model.ask([prompt("difficulty", each) for each in problems], limit=5)
    scores = [float(one[0].text) if re.fullmatch(r"0\.\d", one[0].text) else 0.5 for one in rated]
    rng = random.Random("countdown")
    puzzles = [draw_countdown(rng, "test") for _ in range(count)]
    asked = [WORDINGS["reach"][0].replace("{{ problem }}", each.text) for each in puzzles]
    reached = [
        [reaches(puzzle, one.text) for one in texts]
        for puzzle, texts in zip(puzzles, model.ask(asked, 1.0, 16, 40), strict=True)
    ]
    return {
        "AUC of difficulty, 5-8 operations against 1-4": auc(
            scores, [each.operations > 4 for each in problems]
        ),
        "Countdown pass@1": _mean([sum(each) / len(each) for each in reached]),
        "Countdown oracle@16": _mean([any(each) for each in reached]),
    }


def _share(texts: Sequence[Text], problem: Problem) -> float:
    return sum(answer_of(each.text) == problem.answer for each in texts) / len(texts)


def _mean(values: Sequence[float]) -> Interval:
    return bootstrap(np.array(values, float))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="48 problems a level")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=WEIGHTS)
    parser.add_argument("--levels", type=int, nargs="+", default=[3, 5, 7])
    given = parser.parse_args()
    model, count = Model(given.folder), 48 if given.quick else given.problems
    figures: dict[str, dict[str, Interval | float]] = {}
    for level in given.levels:
        problems = [
            draw_problem(random.Random(f"roles:{level}:{at}"), level, form, "test")
            for at in range(count // 2)
            for form in ("facts", "sentences")
        ]
        figures[f"level {level}"] = planning(model, problems) | judging(model, problems)
    figures["others"] = others(model, count)
    if given.json:
        print(json.dumps(figures, default=asdict))
        return
    for name, found in figures.items():
        print(name)
        for what, value in found.items():
            print(f"  {what:50} {value if isinstance(value, Interval) else round(value, 3)}")


if __name__ == "__main__":
    main()
