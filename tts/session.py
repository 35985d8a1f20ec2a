"""What all runs under one solve share: models, the budget's account, the trace, the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypedDict

from tts.backends.base import Backend
from tts.carried import Carried
from tts.executed import Step
from tts.layers import Account, Groups, Trace
from tts.messages import Sampling
from tts.problem import Exhausted
from tts.requests import Requests
from tts.votes import Tally

__all__ = ["CallOptions", "Model", "Options", "Session", "Update"]


class Options(TypedDict, total=False):
    """Settings of one call; what is not given comes from the model's own sampling settings."""

    temperature: float
    top_p: float
    top_k: int | None
    max_tokens: int
    logprobs: bool
    top_logprobs: int
    given: str | None
    json_schema: Mapping[str, object] | str | None
    timeout: float
    priority: int


class CallOptions(Options, total=False):
    """Settings of a single call; in a sample, `stop` is the stopping rule's word."""

    stop: tuple[str, ...]
    tools: tuple[Mapping[str, object] | str, ...]


@dataclass(frozen=True)
class Model:
    """A backend behind its layers, and how it samples when a call does not say."""

    backend: Backend
    sampling: Sampling = field(default_factory=Sampling)
    concurrency: int = 64
    """Most calls that its layers let through at once."""
    groups: Groups | None = None
    """What of a sample goes in one request; None draws each by itself."""

    @cached_property
    def requests(self) -> Requests:
        """Builds this model's requests."""
        return Requests(self.sampling)


@dataclass(frozen=True, slots=True)
class Update:
    """Progress of a sample or a plan, for whoever watches."""

    samples: int
    """Candidates consumed."""
    planned: int
    """Most candidates that may be drawn."""
    votes: Tally | None
    total_tokens: int
    steps: tuple[Step, ...] = ()
    """How the calls of a plan stand, where the strategy makes one."""
    note: str = ""
    """What the strategy does at the moment."""


@dataclass(slots=True)
class Session:
    """What all runs under one solve share.

    Attributes:
        models: By name; the first one answers for roles that are not assigned.
        account: The budget's state.
        roles: Role to model name.
        overrides: Prompt templates that replace the strategies' own, by role.
        exhausted: The limit that first refused or ended a call.
        carried: What outlives the solve; the open solver's.
        number: The problem's place in the order in which those of the solver began.
    """

    models: Mapping[str, Model]
    account: Account
    trace: Trace
    seed: int = 0
    roles: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    on_update: Callable[[Update], None] | None = None
    exhausted: Exhausted | None = None
    carried: Carried = field(default_factory=Carried)
    number: int = 0
    _first: Model = field(init=False)

    def __post_init__(self) -> None:
        self._first = next(iter(self.models.values()))

    def name_of(self, role: str) -> str:
        """Return the name of the model that plays a role."""
        return self.roles.get(role) or next(iter(self.models))

    def model(self, role: str) -> Model:
        """Return the model that plays a role."""
        name = self.roles.get(role)
        return self._first if name is None else self.models[name]
