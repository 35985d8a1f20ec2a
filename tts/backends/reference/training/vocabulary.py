"""Builds the tokenizer: each word of the world is a token, and so is each digit and byte."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, pre_tokenizers, trainers

from tts.backends.reference.tokenizer import pipeline
from tts.backends.reference.training import drills
from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.countdown import draw_countdown
from tts.backends.reference.training.instructions import SHIPPED, WORDINGS, shipped
from tts.backends.reference.training.responses import Branch
from tts.backends.reference.training.roles import ROLES
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import NAMES, draw_problem

__all__ = ["CONTROLS", "build", "words"]

CONTROLS = (
    "<|pad|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    *(f"<think{number}>" for number in range(1, 9)),
    "<summary>",
)
_SIZE = 1216
_PROBLEMS = 600
# Words that later lessons are likely to need, and forms of the names a user may type.
_EXTRA = """Yes No True False none all any not but if else while until best better worse first
second last next other another same done ready true false right left total each every both only
keep stop continue final result results reason because so therefore let us we you he she they
has have had give gives take takes get gets buy buys sell sells more less than fewer equal equals
question number numbers value values answer step steps line lines idea ideas score rank compare
improve revise draft drafts path paths part parts task tasks goal check checks summary plan"""


def build(path: Path, seed: int = 0) -> None:
    """Train the tokenizer on the world's words and save it."""
    inner = HuggingFaceTokenizer(models.BPE())
    pipeline(inner)
    trainer = trainers.BpeTrainer(
        vocab_size=_SIZE,
        special_tokens=list(CONTROLS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Every word counts once, so that rare ones become tokens too.
    inner.train_from_iterator(words(seed), trainer)
    inner.save(str(path))


def words(seed: int) -> list[str]:
    """Return every word the model meets in training, sorted."""
    found = set(_EXTRA.split()) | set(NAMES)
    for text in _texts(random.Random(f"words:{seed}")):
        found.update(re.findall(r"[A-Za-z]+", text))
    return sorted(found)


def _texts(rng: random.Random) -> Iterator[str]:
    for wordings in WORDINGS.values():
        yield from (re.sub(r"{[{%].*?[}%]}", " ", wording) for wording in wordings)
    for role in (*SHIPPED, "subproblem"):
        yield re.sub(r"{[{%].*?[}%]}", " ", shipped().source(role))
    for _ in range(_PROBLEMS):
        problem = draw_problem(rng, rng.randint(1, 6), rng.choice(FORMS), "train")
        made = [role(Case(problem), rng) for role in ROLES.values()]
        made += [drill(problem, rng) for drill in (drills.facts, drills.trace, drills.unlock)]
        yield problem.text
        yield from _responses(made)
        puzzle = draw_countdown(rng, "train")
        yield puzzle.text
        yield from _responses([drills.sums(rng), drills.puzzle(puzzle, rng, "train")])


def _responses(made: list[Branch]) -> Iterator[str]:
    for each in made:
        yield from (piece.text for piece in each.pieces if not piece.control)
