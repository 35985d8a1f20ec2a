"""Schedules of function calls on a few workers: what is the shortest time?"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated

from pydantic import Field

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import DrawnTask, identity
from tts.problem import Problem

__all__ = ["Schedule", "shortest"]


class Schedule(DrawnTask, name="schedule"):
    """The shortest time in which function calls that need one another can be done.

    Calls take 1 to 9 seconds, need the results of earlier ones, and run on `workers` workers, one
    call each at a time, without interruption. The right answer is found by searching all
    schedules.
    """

    calls: Annotated[int, Field(ge=3, le=9)] = 6
    """How many functions are called."""
    workers: Annotated[int, Field(ge=1, le=9)] = 2
    """How many calls can run at the same time; with as many as calls, the longest chain decides."""

    @property
    def title(self) -> str:
        """The name with both settings."""
        return f"schedule {self.calls} on {self.workers}"

    @property
    def checker(self) -> Checker:
        """The number of seconds, exactly."""
        return Numeric()

    def draw(self, rng: random.Random) -> Example:
        """Draw calls, each with up to two needs among those before it."""
        names = [chr(ord("A") + place) for place in range(self.calls)]
        seconds = {name: rng.randint(1, 9) for name in names}
        needs = {
            name: tuple(sorted(rng.sample(names[:place], min(place, rng.choice((0, 1, 1, 2))))))
            for place, name in enumerate(names)
        }
        best = shortest(seconds, needs, self.workers)
        chain = shortest(seconds, needs, self.calls)
        return Example(
            id=identity(seconds, needs, self.workers),
            problem=Problem(
                text=_told(seconds, needs, self.workers), answer_format=AnswerFormat(kind="number")
            ),
            answer=str(best),
            extra={
                "calls": self.calls,
                "workers": self.workers,
                "serial": sum(seconds.values()),
                "chain": chain,
                "best_makespan": best,
            },
        )


def _told(seconds: Mapping[str, int], needs: Mapping[str, Sequence[str]], workers: int) -> str:
    lines = [
        f"{name} takes {seconds[name]} s"
        + (f" and needs the result of {' and '.join(needs[name])}" if needs[name] else "")
        for name in seconds
    ]
    several = f"{workers} workers, each of which runs" if workers > 1 else "one worker, which runs"
    return (
        "These functions are called, each once:\n"
        + "\n".join(lines)
        + f"\n\nThere are {several} one call at a time, without interruption. "
        "What is the shortest time, in seconds, in which all calls can be done?"
    ).replace("There are one worker", "There is one worker")


def shortest(seconds: Mapping[str, int], needs: Mapping[str, Sequence[str]], workers: int) -> int:
    """Return the least makespan, by searching all schedules.

    Args:
        seconds: What each call takes, in whole seconds from 1.
        needs: The calls whose results each needs; without cycles.
        workers: How many calls can run at the same time.
    """
    names = tuple(seconds)

    @cache
    def left(done: frozenset[str], running: tuple[tuple[int, str], ...]) -> int:
        """The time still needed; `running` has the seconds left of calls that have begun."""
        begun = done | {name for _, name in running}
        if len(done) == len(names):
            return 0
        ready = [n for n in names if n not in begun and done.issuperset(needs[n])]
        best: list[int] = []
        if len(running) < workers:
            best = [left(done, tuple(sorted((*running, (seconds[name], name))))) for name in ready]
        if running:  # or wait for the next to end, which may be wiser
            passed = running[0][0]
            ended = {name for rest, name in running if rest == passed}
            still = tuple((rest - passed, name) for rest, name in running if rest > passed)
            best.append(passed + left(done | ended, still))
        return min(best)

    return left(frozenset(), ())
