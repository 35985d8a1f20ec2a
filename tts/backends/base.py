"""The seam between the library and a model: `Backend`, what it can do, and what a call has used."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tts.frozen import Frozen
from tts.messages import Completion, Request, Sampling, Usage
from tts.registry import Component

__all__ = [
    "Backend",
    "Capabilities",
    "EnvironmentName",
    "Given",
    "Meter",
    "Price",
    "Provider",
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
    """Several completions of one prompt come from one call."""
    stream: bool = False
    """Text is heard while it is made."""
    json_schema: bool = False
    """The text can be bound to a JSON Schema."""
    tools: bool = False
    """Functions can be offered to the model."""
    prefill: bool = False
    """A conversation that ends with the assistant's words is continued from there."""
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


@dataclass(slots=True)
class Meter:
    """What one call has used so far.

    A backend advances it while it works, so that a call that is cancelled or fails is still
    charged for what it spent.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    started: bool = False
    """True once the call has left for the model; one that never left costs nothing."""
    listener: Callable[[str], None] | None = None
    """Whoever wants the text piece by piece; a backend that can stream does so only then."""
    cached_tokens: int = 0
    """The part of the prompt's tokens that came from a prefix cache."""
    estimated: bool = False
    """True while the counts are estimates: the provider has not said yet, or never will."""

    def hear(self, text: str) -> None:
        """Pass a piece of the completion's text to the listener, if there is one."""
        if self.listener is not None:
            self.listener(text)

    def settle(self, usage: Usage) -> None:
        """Take over what the finished call reports."""
        self.prompt_tokens, self.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        self.cached_tokens, self.estimated = usage.cached_tokens, usage.estimated

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def usage(self) -> Usage:
        """What was used, as a value."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
            estimated=self.estimated,
        )


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


class Provider(Component, group="tts.backends", label="backend", choice="backend"):
    """The settings of a model: what stands under a name in a pipeline's `models`."""

    sampling: Sampling = Sampling()
    """How this model samples where a call does not say."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Most calls in flight at once."""

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


def prompt_bytes(request: Request) -> int:
    """Bound the prompt's tokens without a tokenizer: its UTF-8 bytes, and 16 a message.

    No byte-level tokenizer makes more tokens than bytes; the 16 cover the chat template.
    """
    texts = [message.content for message in request.messages]
    return sum(len(text.encode()) + 16 for text in [*texts, request.given or ""])
