"""The seam between the library and a model: `Backend`, what it can do, and its settings."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tts.backends.bounds import most_tokens, prompt_bytes
from tts.backends.meter import Meter, RateInfo
from tts.backends.policy import Cache, Hedge, Limits, Retry
from tts.frozen import Frozen
from tts.messages import Completion, Request, Sampling
from tts.registry import Component

__all__ = [
    "Backend",
    "Capabilities",
    "EnvironmentName",
    "Expected",
    "Given",
    "Meter",
    "Price",
    "Provider",
    "RateInfo",
    "most_tokens",
    "prompt_bytes",
]


class Capabilities(Frozen):
    """What a backend can do; a pipeline that needs more is refused before the first call."""

    seed: bool = False
    """Same request and seed, same text."""
    logprobs: bool = False
    """Log-probabilities of the sampled tokens."""
    top_logprobs: int = 0
    """Most alternatives given for each token."""
    score: bool = False
    """Log-probabilities of a given text."""
    fork: bool = False
    """A prompt shared by several calls is computed once."""
    n: bool = False
    """Several completions of one prompt come from one call (`Request.n`)."""
    stream: bool = False
    """Text is heard while it is made."""
    json_schema: bool = False
    """The text can be bound to a JSON Schema."""
    tools: bool = False
    """Functions can be offered to the model."""
    prefill: bool = False
    """A conversation that ends with the assistant's words is continued from there."""
    paths: bool = False
    """Parallel paths that do not see one another, and a summary that sees them all, are one call
    on shared keys and values."""
    context: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of prompt and completion together; None where unknown."""


class Price(Frozen):
    """Dollars per million tokens."""

    input: Annotated[float, Field(ge=0.0)]
    output: Annotated[float, Field(ge=0.0)]
    cached_input: Annotated[float, Field(ge=0.0)] | None = None
    """For prompt tokens from the provider's prefix cache; None: as any other."""

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Return the dollars that these tokens cost; the cached are part of the prompt's.

        >>> Price(input=2.0, output=8.0, cached_input=0.5).of(1_000_000, 0, 500_000)
        1.25
        """
        cost = prompt_tokens * self.input + completion_tokens * self.output
        if cached_tokens and self.cached_input is not None:
            cost -= cached_tokens * (self.input - self.cached_input)
        return cost / 1_000_000


class Expected(NamedTuple):
    """What is known of a model before it is opened; None where only opening it will tell."""

    capabilities: Capabilities | None = None
    price: Price | None = None


@runtime_checkable
class Backend(Protocol):
    """A model that completes requests. Layers are backends around backends."""

    @property
    def name(self) -> str:
        """Name of the model, for traces and messages."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        ...

    @property
    def price(self) -> Price | None:
        """Dollars per million tokens; None where unknown, never a guess."""
        ...

    def prompt_tokens(self, request: Request) -> int:
        """Return the prompt's tokens: exact where the backend can tell, else an upper bound.

        With `request.given`, the given text's tokens count as prompt.
        """
        ...

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request.

        Args:
            request: What is asked.
            meter: Advanced while tokens are spent.

        Raises:
            BackendError: If the call failed; `retryable` says whether to ask again.
        """
        ...


def _is_set(name: str) -> str:
    if not os.environ.get(name):
        raise PydanticCustomError(
            "environment", "the environment variable {name} is not set: export it", {"name": name}
        )
    return name


EnvironmentName = Annotated[str, AfterValidator(_is_set)]
"""A setting that names an environment variable which must be set; the value is never stored."""


_CARRIAGE = {"cache", "concurrency", "hedge", "limits", "retry"}  # how a call is carried


class Provider(Component, group="tts.backends", label="backend", choice="backend"):
    """The settings of a model: what stands under a name in a pipeline's `models`."""

    carriage: ClassVar[frozenset[str]] = frozenset()
    """Further settings that say how a call is carried and not what the model answers."""

    sampling: Sampling = Sampling.model_construct()
    """How this model samples where a call does not say."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Most calls in flight at once."""
    limits: Limits = Field(default_factory=Limits)
    """What the provider allows: calls are held back before it has to refuse them."""
    retry: Retry = Field(default_factory=Retry)
    """When a failed call is sent again."""
    hedge: Hedge | None = None
    """When a slow call is sent twice; None is never."""
    cache: Cache | None = None
    """Where answers are kept for the next run; None is nowhere."""

    def identity(self) -> dict[str, Any]:
        """Return the settings that an answer depends on, under which it is cached: no carriage."""
        return {
            self.choice: self.name,
            **self.model_dump(mode="json", exclude={*_CARRIAGE, *self.carriage, "sampling"}),
        }

    def backend_settings(self) -> dict[str, Any]:
        """Return all settings but those of the layers."""
        return {name: each for name, each in self.settings().items() if name not in _CARRIAGE}

    def expected(self) -> Expected:
        """Return what is known of the model before it is opened."""
        return Expected()

    def take_bill(self) -> Meter | None:
        """Return what opening has spent, and forget it: somebody pays for it now."""
        return None

    def memory(self) -> bytes | None:
        """Return what opening has found out; kept with the cache, so that the next run knows it."""
        return None

    def recall(self, memory: bytes) -> None:
        """Take in what an earlier `memory` returned; what cannot be read is found out again."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Backend]:
        """Open the backend; leaving the context closes it.

        Raises:
            ConfigError: If a setting, a file or an environment variable is missing or wrong.
        """


class Given(Provider, name="given"):
    """A backend that the caller built; it is used as it is and not closed."""

    backend: Backend

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """Yield the backend."""
        yield self.backend

    def expected(self) -> Expected:
        """Return what the backend says of itself."""
        return Expected(self.backend.capabilities, self.backend.price)

    def identity(self) -> dict[str, Any]:
        """Return the backend's name: nothing else is known of it."""
        return {self.choice: self.name, "name": self.backend.name}
