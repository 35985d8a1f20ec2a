"""What a task is: problems with right answers, and how an answer is checked."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from tts.evals.checkers.base import Checker
from tts.frozen import Frozen
from tts.problem import Problem
from tts.registry import Component

__all__ = ["Example", "Split", "Task"]

Split: TypeAlias = Literal["develop", "test"]
"""`develop` to choose settings on, `test` to report: they never share a problem."""


class Example(Frozen):
    """A problem and what is right."""

    id: str
    """Unique within its task and split; the same problem has the same id in every run."""
    problem: Problem
    answer: str
    """The right answer as the task's checker reads it: a number, a letter, a test program."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """What else the checker needs, or a table may be split by, such as `level`; JSON only."""

    @property
    def digest(self) -> str:
        """Changes with all that an answer, or its verdict, depends on."""
        said = [self.problem.model_dump(mode="json"), self.answer, self.extra]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Task(Component, group="tts.tasks", label="task"):
    """A set of problems with right answers. The object is its configuration.

    A subclass gives its name, its settings as fields, and `examples`; an entry point in the group
    `tts.tasks` makes it available by name in suites.
    """

    split: Split = "test"
    """The half that problems are taken from."""
    problems: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many of them, from the first; None is all there are, or 100 where there is no end."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of what is generated or shuffled; a split's problems are the same for the same seed."""

    @property
    def title(self) -> str:
        """What reports call it; two tasks of a suite must not share one."""
        return self.name

    @property
    @abstractmethod
    def checker(self) -> Checker:
        """How an answer is judged."""

    @abstractmethod
    def examples(self) -> tuple[Example, ...]:
        """Return the problems, always in the same order. No model call.

        Raises:
            ConfigError: If a file is missing or wrong, or an extra is not installed.
        """
