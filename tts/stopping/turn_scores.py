"""Calibration scores of drafted chunks: of many problems, by turn."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.origins import Origin
from tts.stopping.conformal import effective_n

__all__ = ["BUCKETS", "TurnScores", "Weighed", "bucket_of", "weighed_by_bucket"]

BUCKETS = (0, 1, 2, 6, 10)
"""First turns of the buckets: the first two turns differ most, later ones are few."""


def bucket_of(turn: int, buckets: Sequence[int] = BUCKETS) -> int:
    """Return in which bucket a turn lies.

    >>> [bucket_of(turn) for turn in (0, 1, 2, 5, 6, 99)]
    [0, 1, 2, 2, 3, 4]
    """
    return bisect_right(buckets, turn) - 1


class TurnScores(Frozen):
    """Scores of drafted chunks on calibration problems, under the same two models and settings."""

    version: Literal[2] = 2
    """Of the file's format."""
    problems: Annotated[tuple[tuple[tuple[int, float], ...], ...], Field(min_length=1)]
    """By problem, the turn and score of each chunk of all its samples."""
    origin: Origin = Origin.model_construct()
    """What the pipeline it was made with samples with: another's scores are of another law."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `tts.evals.takeovers` wrote.

        Raises:
            ConfigError: If it cannot be read, is none, or is of another version.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            message = f"cannot read the calibration: {error.strerror}"
            raise ConfigError(message, path=str(path)) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigError(
                f"no scores of turns of version 2: {where}: {first['msg']}; make them anew with "
                "python -m tts.evals.takeovers",
                path=str(path),
            ) from error

    def groups(
        self, bucket: int, buckets: Sequence[int] = BUCKETS, *, since: int | None = None
    ) -> list[list[float]]:
        """Return the scores of a bucket by problem; problems that never came so far are left out.

        Args:
            bucket: Which one.
            buckets: First turns of all.
            since: The first bucket, where several that follow each other are one; None is `bucket`.

        Raises:
            ConfigError: If a score is no finite number.
        """
        wanted, found = range(bucket if since is None else since, bucket + 1), []
        for scores in self.problems:
            own = [score for turn, score in scores if bucket_of(turn, buckets) in wanted]
            if not all(map(math.isfinite, own)):
                raise ConfigError("a score of the calibration is not finite: leave it out")
            if own:
                found.append(own)
        return found

    def effective(self, bucket: int, buckets: Sequence[int] = BUCKETS) -> float:
        """Return how many independent scores a bucket's are worth; 0 of fewer than two problems.

        Samples of a problem resemble each other: 16 for each of 100 problems are worth 160, say.
        """
        groups = self.groups(bucket, buckets)
        return effective_n(groups) if len(groups) > 1 else 0.0


class Weighed:
    """Scores by problem, each problem of weight 1.

    Args:
        groups: The scores of each problem; none is empty.
    """

    def __init__(self, groups: Sequence[Sequence[float]]) -> None:
        pairs = sorted((score, 1.0 / len(group)) for group in groups for score in group)
        self._sorted = [score for score, _ in pairs]
        self._below = [0.0, *accumulate(weight for _, weight in pairs)]
        self.n = len(groups)

    def rank(self, score: float) -> tuple[float, float, int]:
        """Return the weight above a score, the weight equal to it, and all weight."""
        low, high = bisect_left(self._sorted, score), bisect_right(self._sorted, score)
        equal = self._below[high] - self._below[low]
        return max(0.0, self._below[-1] - self._below[high]), equal, self.n


def weighed_by_bucket(scores: TurnScores, buckets: Sequence[int], rate: float) -> list[Weighed]:
    """Return a set for each bucket; one of fewer than 2 / rate problems is that before it too.

    A problem weighs 1 in each set, however many of the set's buckets it reached.
    """
    found, first = list[Weighed](), 0
    for bucket in range(len(buckets)):
        if len(scores.groups(bucket, buckets)) >= 2.0 / rate:
            first = bucket
        found.append(Weighed(scores.groups(bucket, buckets, since=first)))
    return found
