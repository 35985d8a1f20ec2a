"""A cell of a suite's grid, and what it takes to fill it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tts.evals.records import Cell
from tts.evals.tasks.base import Task
from tts.pipeline import Pipeline
from tts.votes import Vote
from tts.yaml_files import Location

__all__ = ["Entry"]


@dataclass(frozen=True)
class Entry:
    """A cell of the grid with what it takes to fill it."""

    cell: Cell
    task: Task
    pipeline: Pipeline
    place: Location
    """Of its strategy in the suite."""

    @cached_property
    def key(self) -> str:
        """The cell's, worked out once: it is asked for with each row."""
        return self.cell.key

    @property
    def detail(self) -> int:
        """What it reads of each token; who reads most draws first, and others share its samples."""
        strategy = self.pipeline.strategy
        if any(isinstance(part, Vote) and part.alternatives() for part in strategy.parts()):
            return 2
        return int(any("logprobs" in abilities for abilities in strategy.needs().values()))
