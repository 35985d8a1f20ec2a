"""The bundled model's own problems: arithmetic over a graph of quantities."""

from __future__ import annotations

import random
from typing import Annotated, Literal

from pydantic import Field

from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import Operation, draw_problem
from tts.backends.reference.training.world import Problem as GraphProblem
from tts.evals.checkers.base import Checker
from tts.evals.checkers.numeric import Numeric
from tts.evals.tasks.base import Example
from tts.evals.tasks.drawn import DrawnTask, identity
from tts.problem import Problem

__all__ = ["Graphs", "chain_of", "facts_of"]


class Graphs(DrawnTask, name="graphs"):
    """Arithmetic-graph problems, which the bundled model was made for.

    Quantities are defined by numbers or by one operation on others, all in 0..99, in shuffled
    order; one is asked for. Both splits are of the part that the bundled model was never trained
    on, so its figures on either are honest.
    """

    level: Annotated[int, Field(ge=1, le=8)] = 3
    """Operations that the answer takes."""
    form: Literal["facts", "sentences", "both"] = "facts"
    """A list of facts, short sentences, or a mixture of halves."""

    @property
    def title(self) -> str:
        """The name with level and form."""
        return f"graphs {self.level} {self.form}"

    @property
    def series(self) -> str:
        """The seed text of the bundled model's published figures, where the form is one."""
        return f"levels:{self.level}:{self.form}"

    @property
    def checker(self) -> Checker:
        """The value, exactly."""
        return Numeric()

    def draw(self, rng: random.Random) -> Example:
        """Draw a problem."""
        form = rng.choice(FORMS) if self.form == "both" else self.form
        drawn = draw_problem(rng, self.level, form, "test")
        extra = {"level": self.level, "form": form, "depth": max(chain_of(drawn).values())}
        return Example(
            id=identity(facts_of(drawn), drawn.target),
            problem=Problem(text=drawn.text),
            answer=str(drawn.answer),
            extra=extra,
        )


def facts_of(problem: GraphProblem) -> list[tuple[str, str]]:
    """Return what a problem says whatever its wording and order."""
    return sorted((name, str(made)) for name, made in problem.definitions.items())


def chain_of(problem: GraphProblem) -> dict[str, int]:
    """Return how many operations must follow one another until each needed quantity is known."""
    depths: dict[str, int] = {}
    for name in problem.needed:  # in an order in which they can be computed
        below = max((depths[need] for need in problem.needs(name)), default=0)
        depths[name] = below + isinstance(problem.definitions[name], Operation)
    return depths
