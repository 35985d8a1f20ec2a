"""How many steps does a program take: exact, unlimited, and hard without running it."""

from __future__ import annotations

import random
from functools import cache, partial
from typing import Final, Literal

from tts.answers import AnswerFormat
from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import DrawnTask, identity
from tts.evals.tasks.sx_programs import Program, Shape, Trace, draw_program, trace, written
from tts.problem import Problem

__all__ = ["SX"]

_SHAPES: Final = {
    "easy": Shape(leaves=3, depth=1, parts=2, times=3),
    "hard": Shape(leaves=6, depth=3, parts=3, times=4),
}
_BANDS: Final = {
    "easy": ((8, 12), (13, 17), (18, 22)),
    "hard": ((41, 60), (61, 80), (81, 100)),
}
"""One of a level's bands is drawn first: left to themselves, counts crowd at few values."""
_INPUTS: Final = 100
_PROBES: Final = 40
_QUESTIONS: Final = {
    "steps": "What is the value of `steps` after the call `main({x})`?",
    "value": "What does the call `main({x})` return?",
}


class SX(DrawnTask, name="sx"):
    """Count the steps of a small program of several functions, without running it.

    Every program depends on its input (at least 3 counts among 6 inputs) and has no dead arm, and
    its answer is not the number of its `steps += 1` lines. Steps average near 15 (easy) and 70
    (hard), as published for SX-Bench. A strategy with a tool that runs Python has the answer for
    nothing: say so beside its figures.
    """

    level: Literal["easy", "hard"] = "easy"
    """Up to 3 functions and 8 to 22 steps, or up to 6 functions, nested loops and 40 to 100."""
    ask: Literal["steps", "value"] = "steps"
    """What is asked: the count, or what the program returns."""

    @property
    def title(self) -> str:
        """The name with the level and what is asked."""
        return f"sx {self.level}" + ("" if self.ask == "steps" else f" {self.ask}")

    @property
    def checker(self) -> Checker:
        """The number, exactly."""
        return Numeric()

    def split_key(self, example: Example) -> str:
        """Return the program without its input: no program is in both splits."""
        return identity(example.problem.text.rpartition("```")[0])

    def draw(self, rng: random.Random) -> Example:
        """Draw programs until one is fit that takes as many steps as a band says."""
        low, high = rng.choice(_BANDS[self.level])
        while True:
            program, x = draw_program(rng, _SHAPES[self.level]), rng.randrange(_INPUTS)
            found = trace(program, x, most=high)
            if found is not None and low <= found.steps and _is_fit(program, found, rng):
                break
        source = written(program)
        question = _QUESTIONS[self.ask].format(x=x)
        return Example(
            id=identity(source, x),  # of both questions
            problem=Problem(
                text=f"```python\n{source}```\n\n{question}",
                answer_format=AnswerFormat(kind="number"),
            ),
            answer=str(found.steps if self.ask == "steps" else found.value),
            extra={
                "level": self.level,
                "steps": found.steps,
                "functions": len(program.functions) + 1,
                "lines": source.count("\n"),
            },
        )


def _is_fit(program: Program, asked: Trace, rng: random.Random) -> bool:
    """Whether the count depends on the input, all arms are alive and no shortcut is right."""
    source = written(program)
    if asked.steps == source.count("steps += 1"):
        return False
    traced = cache(partial(trace, program))  # of 46 inputs among 100, many are drawn twice
    some = [traced(rng.randrange(_INPUTS)) for _ in range(6)]
    if len({found.steps for found in some if found is not None}) < 3:
        return False
    probes = [rng.randrange(_INPUTS) for _ in range(_PROBES)]  # all: what is drawn next depends
    arms, alive = set[tuple[int, bool]](), 2 * source.count("else:")
    for found in map(traced, probes):
        arms |= found.arms if found is not None else set()
        if len(arms) == alive:
            return True
    return False
