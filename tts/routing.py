"""Which topology a graph of sub-tasks is worked in: by the published rule, or as was learned.

A topology says what a sub-task is told beside its own text, and never when it runs: that is
decided by its inputs alone.

    parallel      the answers of what it needs
    hybrid        and of all that those needed before them
    sequential    the answers of all sub-tasks before it, one after the other
    hierarchical  as hybrid; a lead briefs each, and reads all of them in the end
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError

from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.graph.features import Features, ancestors
from tts.registry import Component, mistake

__all__ = [
    "TOPOLOGIES",
    "Always",
    "Learned",
    "Measured",
    "Outcome",
    "Policy",
    "Published",
    "Topology",
    "reroute",
    "told",
]

Topology: TypeAlias = Literal["parallel", "sequential", "hierarchical", "hybrid"]

TOPOLOGIES: tuple[Topology, ...] = ("parallel", "hybrid", "sequential", "hierarchical")
"""All of them, in the order in which what a sub-task is told grows."""

_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Policy(Component, group="tts.policies", label="policy"):
    """Chooses a topology by the shape of the graph."""

    @abstractmethod
    def choose(self, shape: Features) -> Topology:
        """Return the topology in which a graph of this shape is worked."""


class Always(Policy, name="always"):
    """One topology, whatever the graph."""

    topology: Topology

    def choose(self, shape: Features) -> Topology:
        """Return it."""
        return self.topology


class Published(Policy, name="published"):
    """The published rule, by thresholds of the shape.

    Without edges parallel; a chain sequential; large and tight hierarchical; wide and loose
    parallel; all else hybrid.

    Source: AdaptOrch, arXiv:2602.16873, its routing algorithm with its thresholds. It names the
    third one after the depth, and compares it with the number of sub-tasks.
    """

    width: _Share = 0.5
    """theta_omega: a larger share of the sub-tasks side by side is wide."""
    coupling: _Share = 0.6
    """theta_gamma: above it, coupling is tight."""
    size: PositiveInt = 5
    """theta_delta: more sub-tasks are large."""

    def choose(self, shape: Features) -> Topology:
        """Apply the rule."""
        if shape.edges == 0:
            return "parallel"
        if shape.omega == 1:
            return "sequential"
        if shape.gamma > self.coupling and shape.tasks > self.size:
            return "hierarchical"
        if shape.omega / shape.tasks > self.width and shape.gamma <= self.coupling:
            return "parallel"
        return "hybrid"


class Outcome(Frozen):
    """What a topology made of one problem."""

    shape: Features
    topology: Topology
    accuracy: _Share
    """1 if the answer was right; a mean over several runs lies between."""
    total_tokens: Annotated[float, Field(ge=0.0)]


class Measured(Frozen):
    """The outcomes that a policy learns from: the file of the bench `topology`."""

    rows: tuple[Outcome, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> Measured:
        """Read a file.

        Raises:
            ConfigError: If it cannot be read or holds something else.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read: {error.strerror}", path=str(path)) from error
        except (ValidationError, UnicodeDecodeError) as error:
            reason = "no outcomes of topologies: make them with the bench `topology`"
            raise ConfigError(reason, path=str(path)) from error


def _loaded(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    try:
        return Measured.load(value)
    except ConfigError as error:
        raise mistake(Measured, (), str(error), str(value)) from error


class Learned(Policy, name="learned"):
    """What was measured to pay on graphs of this kind, else another policy's choice.

    Outcomes are kept by kind: how many sub-tasks, how wide for that, how tight. A topology that
    has `support` outcomes of the kind takes the place of the other policy's choice, if that has
    them too, only where mean(accuracy - price * tokens) is higher by `margin` standard errors of
    the difference. No bandit, no model: with few outcomes it does nothing, and says so by
    choosing like the other policy.
    """

    measured: Annotated[
        Measured, BeforeValidator(_loaded, json_schema_input_type=str | Path | Measured)
    ]
    """A file of outcomes, or what it holds."""
    price: Annotated[float, Field(ge=0.0)] = 0.0
    """Accuracy, in [0, 1], that a thousand tokens must bring."""
    support: Annotated[int, Field(ge=2)] = 30
    """Least outcomes of a topology on a kind of graph."""
    margin: Annotated[float, Field(ge=0.0)] = 1.64
    """Standard errors by which another choice must be better; 1.64 errs on one side in 1 of 20."""
    otherwise: Policy = Published()
    """Chooses where nothing is known to be better."""

    def choose(self, shape: Features) -> Topology:
        """Return the best that is known, or what `otherwise` says."""
        usual, kind = self.otherwise.choose(shape), _kind(shape)
        gains: dict[Topology, list[float]] = defaultdict(list)
        for row in self.measured.rows:
            if _kind(row.shape) == kind:
                gains[row.topology].append(row.accuracy - self.price * row.total_tokens / 1000)
        known = {name: found for name, found in gains.items() if len(found) >= self.support}
        if usual not in known:
            return usual
        best = max(TOPOLOGIES, key=lambda name: _mean(known[name]) if name in known else -math.inf)
        gap = _mean(known[best]) - _mean(known[usual])
        error = math.sqrt(_error(known[best]) + _error(known[usual]))
        return best if gap > self.margin * error else usual


def told(topology: Topology, needs: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return for each sub-task those whose answers it is told, and therefore waits for.

    Args:
        topology: Decides it.
        needs: For each sub-task the places of those it needs, each before its own. The last one
            is the question itself: it is told all answers.

    >>> told("parallel", [[], [0], [1], [2]])
    [(), (0,), (1,), (0, 1, 2)]
    >>> told("hybrid", [[], [0], [1], [2]])
    [(), (0,), (0, 1), (0, 1, 2)]
    """
    everything = [tuple(range(at)) for at in range(len(needs))]
    if topology == "sequential":
        return everything
    own: Sequence[Iterable[int]] = needs if topology == "parallel" else ancestors(needs)
    return [*(tuple(sorted(set(each))) for each in own[:-1]), *everything[-1:]]


def reroute(policy: Policy, shape: Features, tried: Sequence[Topology]) -> Topology | None:
    """Return the topology to try after others disagreed: coupling was underrated, by .2 or more.

    Returns:
        None if no coupling leads to one that was not tried. The published claim that any graph
        ends in `hierarchical` after five steps is wrong for small ones, chains, and without edges.

    Source: AdaptOrch, arXiv:2602.16873, its synthesis, with an end.
    """
    steps = math.ceil((1.0 - shape.gamma) / 0.2)
    for step in range(1, steps + 1):
        gamma = min(1.0, shape.gamma + 0.2 * step)
        topology = policy.choose(shape.model_copy(update={"gamma": gamma}))
        if topology not in tried:
            return topology
    return None


def _kind(shape: Features) -> tuple[int, int, int]:
    """Return the kind of a graph: size by powers of two, width in thirds, coupling in thirds."""
    width = shape.omega / max(1, shape.tasks)
    return shape.tasks.bit_length(), min(2, int(3 * width)), min(2, int(3 * shape.gamma))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _error(values: Sequence[float]) -> float:
    """Return the squared standard error of a mean."""
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)
