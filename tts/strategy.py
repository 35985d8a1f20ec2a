"""The base of strategies: a frozen object of hyper-parameters that solves problems with a run."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from tts.origins import Origin
from tts.problem import Problem, Solution
from tts.prompts import Prompts
from tts.registry import Component
from tts.run import Run

__all__ = ["Strategy", "combined"]


class Strategy(Component, group="tts.strategies", label="strategy"):
    """A way to spend compute on a problem. The object is its configuration.

    A subclass gives its name, its settings as fields, and `solve`; one that asks other roles than
    `solve` names them in `roles`. An entry point in the group `tts.strategies` makes it available
    by name. Templates are `prompts/ROLE.j2` beside its file, then the library's own.
    """

    def roles(self) -> tuple[str, ...]:
        """Return the roles whose models and prompts a pipeline may assign: those it asks."""
        return ("solve",)

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return the abilities that the model of each role must have.

        Names are those of `Capabilities`; a pipeline whose models lack one is refused before the
        first call.
        """
        return {}

    def objection(self, origin: Callable[[Strategy], Origin]) -> str | None:
        """Return why a pipeline must not use this strategy, None if it may.

        Args:
            origin: What the pipeline samples with, another strategy in this one's place.
        """
        return None

    def carries(self) -> bool:
        """Return whether it, or a part of it, hands on from problem to problem of an open solver.

        What a problem gets then depends on those before it, so where problems have no order, or
        each has a solver of its own, as in a suite, such a strategy is refused.
        """
        return any(part.carries() for part in self.parts() if isinstance(part, Strategy))

    @abstractmethod
    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Solve the problem.

        Raises:
            BackendError: If a call failed that the strategy cannot do without.
            BudgetExceeded: If the budget ended outside a `sample`. The run turns both into the
                vote over the candidates seen so far, where there is one.
        """

    @classmethod
    def prompts(cls, overrides: Mapping[str, str] | None = None) -> Prompts:
        """Return the strategy's templates, with overrides by role."""
        own = [base for base in cls.__mro__ if issubclass(base, Strategy) and base is not Strategy]
        folders = [folder for base in own if (folder := _prompts_beside(base)) is not None]
        return Prompts([*folders, files("tts.strategies") / "prompts"], overrides)


def combined(*needs: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the abilities that each role's model must have to meet all of these needs.

    >>> sorted(combined({"solve": frozenset({"seed"})}, {"solve": frozenset({"n"})})["solve"])
    ['n', 'seed']
    """
    found: dict[str, frozenset[str]] = {}
    for each in needs:
        for role, abilities in each.items():
            found[role] = found.get(role, frozenset()) | abilities
    return found


def _prompts_beside(strategy: type[Strategy]) -> Traversable | None:
    try:
        return Path(inspect.getfile(strategy)).parent / "prompts"
    except (OSError, TypeError):  # defined in a notebook or at a prompt: there is no file
        return None
