"""Scores of drafts that drift from turn to turn, and how two recipes keep a takeover rate on them.

The law has what published logs of drafts and targets show: the second turn is easier than the
first, later ones are harder, few texts come so far, and samples of one problem resemble each other
(intraclass correlation .61). The numbers are made up to have the published rates: from .28 to .50
where .40 is meant.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from tts.stopping.takeovers import RateController
from tts.stopping.turn_scores import BUCKETS, bucket_of

__all__ = ["RATE", "SAMPLES", "drifting", "kept", "published"]

RATE: Final = 0.4
_SHIFTS: Final = (0.0, -0.33, 0.05, 0.2, 0.26)  # of each bucket's scores
SAMPLES: Final = 16
"""Of a problem."""
_TURNS = 12
_BETWEEN, _WITHIN = 0.78, 0.62


def drifting(seed: int, problems: int) -> list[list[float]]:
    """Return the scores of a stream of samples by turn, 16 samples of each problem in turn."""
    rng = random.Random(seed)
    stream = []
    for _ in range(problems):
        hardness, length = rng.gauss(0.0, _BETWEEN), rng.choice([2, 3, 4, 6, 9, _TURNS])
        for _ in range(SAMPLES):
            shifts = [_SHIFTS[bucket_of(turn)] for turn in range(length)]
            stream.append([shift + hardness + rng.gauss(0.0, _WITHIN) for shift in shifts])
    return stream


def published(
    stream: Sequence[Sequence[float]], calibration: Sequence[Sequence[float]]
) -> list[float]:
    """Return the takeover rate by bucket of the released recipe: first turns calibrate all."""
    first = sorted(scores[0] for scores in calibration)
    decided = [
        (turn, bisect_left(first, score) / len(first) >= 1.0 - RATE)
        for scores in stream
        for turn, score in enumerate(scores)
    ]
    return _rates(decided)


def kept(stream: Sequence[Sequence[float]], controller: RateController) -> list[float]:
    """Return the takeover rate by bucket of a controller that meets the samples in turn."""
    decided = []
    for sample, scores in enumerate(stream):
        for turn, score in enumerate(scores):
            decision = controller.decide(score, sample=sample, turn=turn)
            decided.append((turn, decision.takes_over))
        controller.leave(sample)
    return _rates(decided)


def _rates(decided: Sequence[tuple[int, bool]]) -> list[float]:
    taken: list[list[bool]] = [[] for _ in BUCKETS]
    for turn, takes_over in decided:
        taken[bucket_of(turn)].append(takes_over)
    return [sum(own) / len(own) for own in taken if own]
