"""The seam between the library and a model: `Backend`, what it can do, and what a call has used."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tts.backends.policy import Cache, Hedge, Limits, Retry
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
    """Several completions of one prompt come from one call."""
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


class RateInfo(NamedTuple):
    """What a provider says is left of its rate limits; None where it does not say.

    A backend reads it from responses, failed ones too, and puts it on the call's meter.
    """

    requests: int | None = None
    """Requests that may still be sent now."""
    tokens: int | None = None
    """Tokens that may still be asked for now."""
    requests_reset: float | None = None
    """Seconds until more are allowed."""
    tokens_reset: float | None = None


@dataclass(slots=True)
class Meter:
    """What one call has used so far, and what its layers tell each other about it.

    A backend advances it while it works, so that a call that is cancelled or fails is still
    charged for what it spent. A layer that asks more than once gives each attempt a meter of its
    own and adds it to the caller's.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    started: bool = False
    """True once the call has left for the model; one that never left costs nothing."""
    listener: Callable[[str], None] | None = None
    """Hears the text as it arrives; a backend that can then streams."""
    heard: bool = False
    """True once the listener has heard something."""
    retractable: bool = False
    """The listener may hear a text again from its start, as after a failed attempt."""
    attempts: int = 0
    """Times that the call left for the model, failed ones and hedges included."""
    cached: bool = False
    """True if the answer came from the cache: nothing was spent."""
    hedged: bool = False
    """True if a second copy was sent because the first was slow."""
    rates: RateInfo | None = None
    """What the provider last said is left of its rate limits."""
    reserve: Callable[[int, int], bool] | None = None
    """Sets prompt and completion tokens aside for another attempt; see `can_reserve`."""
    on_start: Callable[[], None] | None = None
    """Called each time the call leaves for the model."""
    cached_tokens: int = 0
    """The part of the prompt's tokens that came from a prefix cache."""
    estimated: bool = False
    """True while the counts are estimates: the provider has not said yet, or never will."""

    def start(self) -> None:
        """Note that the call leaves for the model."""
        self.started = True
        self.attempts += 1
        if self.on_start is not None:
            self.on_start()

    def retract(self) -> None:
        """Note that the call did not leave after all: it asked for what the model cannot do."""
        self.attempts -= 1
        self.started = self.attempts > 0

    def hear(self, text: str) -> None:
        """Pass a piece of the completion's text to the listener, if there is one."""
        if self.listener is not None:
            self.heard = True
            self.listener(text)

    def can_reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Set tokens aside for another attempt, beside what the call has reserved already.

        False if the budget has no room; without a budget there always is.
        """
        return self.reserve is None or self.reserve(prompt_tokens, completion_tokens)

    def attempt(self) -> Meter:
        """Return a fresh meter for another attempt: it shares the listeners and the budget."""
        return Meter(
            listener=None if self.listener is None else self.hear,
            retractable=self.retractable,
            reserve=self.reserve,
            on_start=self.on_start,
        )

    def add(self, attempt: Meter) -> None:
        """Take over what an attempt has used."""
        self.prompt_tokens += attempt.prompt_tokens
        self.completion_tokens += attempt.completion_tokens
        self.cached_tokens += attempt.cached_tokens
        self.estimated = self.estimated or attempt.estimated
        self.started = self.started or attempt.started
        self.attempts += attempt.attempts
        self.rates = attempt.rates or self.rates

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

    def identity(self) -> dict[str, Any]:
        """Return the backend's name: nothing else is known of it."""
        return {self.choice: self.name, "name": self.backend.name}


def prompt_bytes(request: Request) -> int:
    """Bound the prompt's tokens without a tokenizer: its UTF-8 bytes, and 16 a message.

    No byte-level tokenizer makes more; the 16 cover the chat template.
    """
    texts = [*(message.content for message in request.messages), request.given or ""]
    return sum(len(text.encode()) + 16 for text in texts)


def most_tokens(backend: Backend, request: Request) -> tuple[int, int]:
    """Return the most tokens that a call may use: of its prompt, and of its completion."""
    prompt = backend.prompt_tokens(request)
    most = 0 if request.given is not None else request.max_tokens
    context = backend.capabilities.context
    return prompt, most if context is None else min(most, max(context - prompt, 0))
