"""Draws batches in a process of its own, so that learning does not wait for drawing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.cases import Case, cases_of
from tts.backends.reference.training.corpus import Corpus, Shape
from tts.backends.reference.training.packing import Batch

__all__ = ["Source", "draw"]


class Source(NamedTuple):
    """What decides all batches of a run, the drafts apart."""

    tokenizer: Path
    seed: int
    prompt_weight: float
    mix: str


def draw(source: Source, cases: Path | None, index: int, shape: Shape) -> Batch:
    """Return a batch.

    Args:
        source: Of the run.
        cases: File of the model's own drafts, if there are some.
        index: Of the batch.
        shape: Of the batch.
    """
    corpus = _corpus(source)
    corpus.cases = _cases(cases) if cases else ()
    return corpus.batch(index, shape)


@lru_cache(maxsize=1)
def _corpus(source: Source) -> Corpus:
    return Corpus(
        Tokenizer(source.tokenizer),
        "train",
        source.seed,
        prompt_weight=source.prompt_weight,
        mix=source.mix,
    )


@lru_cache(maxsize=1)
def _cases(path: Path) -> tuple[Case, ...]:
    return tuple(cases_of(path))
