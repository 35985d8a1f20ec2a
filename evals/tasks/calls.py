"""Graphs of function calls whose best time is known: how much does calling in parallel save?"""

from __future__ import annotations

import random
from typing import Annotated, Final

from pydantic import Field, model_validator

from tts.backends.reference.training.world import Operation, draw_problem
from tts.backends.reference.training.world import Problem as GraphProblem
from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import DrawnTask, identity
from tts.evals.tasks.graphs import chain_of, facts_of
from tts.problem import Problem

__all__ = ["Calls", "best_makespan"]

_TOOLS: Final = {"+": "add", "-": "sub", "*": "mul"}
Time = Annotated[float, Field(gt=0, le=3600)]


class Calls(DrawnTask, name="calls"):
    """Arithmetic by calls of add, sub and mul, with the best makespan known for every problem.

    For strategies with the toolbox `arithmetic`, such as `compiler`. `extra` tells `calls`, how
    many the answer takes; `serial`, their times in a row; and `best_makespan`, their times along
    the longest chain, which no schedule can beat. Problems are the bundled model's own, those
    among them in which at least `parallel` calls can be saved by calling at the same time.
    """

    level: Annotated[int, Field(ge=2, le=8)] = 5
    """Calls that the answer takes."""
    parallel: Annotated[int, Field(ge=0, le=4)] = 1
    """Of these, how many more there are at least than the longest chain has."""
    add_seconds: Time = 1.0
    """The time of a call of `add`, for the makespans told; nothing waits for it."""
    sub_seconds: Time = 1.0
    """The time of a call of `sub`."""
    mul_seconds: Time = 1.0
    """The time of a call of `mul`."""

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Calls:
        if self.parallel > (self.level - 1) // 2:
            raise ValueError(f"parallel: at most {(self.level - 1) // 2} at level {self.level}")
        return self

    @property
    def title(self) -> str:
        """The name with the level."""
        return f"calls {self.level}"

    @property
    def series(self) -> str:
        """What is drawn differs by both settings."""
        return f"calls:{self.level}:{self.parallel}"

    @property
    def checker(self) -> Checker:
        """The value, exactly."""
        return Numeric()

    def draw(self, rng: random.Random) -> Example:
        """Draw problems until one has enough calls that can run at the same time."""
        while True:
            drawn = draw_problem(rng, self.level, "facts", "test")
            longest = max(chain_of(drawn).values())
            if self.level - longest >= self.parallel:
                break
        seconds = {"+": self.add_seconds, "-": self.sub_seconds, "*": self.mul_seconds}
        times = {
            name: seconds[made.sign]
            for name in drawn.needed
            if isinstance(made := drawn.definitions[name], Operation)
        }
        return Example(
            id=identity(facts_of(drawn), drawn.target),
            problem=Problem(text=drawn.text),
            answer=str(drawn.answer),
            extra={
                "level": self.level,
                "calls": len(times),
                "serial": sum(times.values()),
                "best_makespan": best_makespan(drawn, times),
            },
        )


def best_makespan(problem: GraphProblem, times: dict[str, float]) -> float:
    """Return the time of the longest chain of calls, by quantity; numbers given take none."""
    ends: dict[str, float] = {}
    for name in problem.needed:  # in an order in which they can be computed
        begin = max((ends[need] for need in problem.needs(name)), default=0.0)
        ends[name] = begin + times.get(name, 0.0)
    return max(ends.values())
