"""Models of an Inspect AI evaluation: calls go through Inspect, which logs, limits and retries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field

from tts.backends.base import Capabilities, Expected, Meter, Price, Provider
from tts.backends.bounds import PromptBound
from tts.backends.formats import estimate
from tts.backends.policy import Retry
from tts.errors import BudgetExceeded, ConfigError, InvalidResponse
from tts.messages import Completion, Message, Request, TokenLogprob, Usage

if TYPE_CHECKING:
    from inspect_ai.model import GenerateConfig, Model, ModelOutput

__all__ = ["MISSING", "Inspect", "limits_hit"]

MISSING: Final = "Inspect AI is not installed: pip install 'tts-orchestrator[inspect]'"

limits_hit: ContextVar[list[Exception] | None] = ContextVar("limits_hit", default=None)
"""Inspect's limits that ended calls of the current solve, for whoever tells Inspect of them."""


class Inspect(Provider, name="inspect"):
    """A model of the Inspect AI evaluation that is running."""

    carriage: ClassVar[frozenset[str]] = frozenset({"retry"})

    model: str | None = None
    """A model as Inspect names it, such as `openai/gpt-4o`; null is the one under evaluation."""
    role: str | None = None
    """A model role of the evaluation; null is none."""
    logprobs: bool = False
    """Whether the model gives log-probabilities: Inspect cannot tell."""
    retry: Retry = Field(default_factory=lambda: Retry(attempts=1))
    """Inspect tries again by itself."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_InspectBackend]:
        """Yield the model; Inspect opens and closes it.

        Raises:
            ConfigError: If Inspect is not installed, or has no such model.
        """
        try:
            from inspect_ai.model import get_model
        except ImportError as error:
            raise ConfigError(MISSING) from error
        try:
            model = get_model(self.model, role=self.role)
        except ValueError as error:
            raise ConfigError(
                f"Inspect has no such model: {' '.join(str(error).split())}"
            ) from error
        yield _InspectBackend(model, self._can())

    def expected(self) -> Expected:
        """Return what the settings say of the model."""
        return Expected(self._can())

    def _can(self) -> Capabilities:
        return Capabilities(logprobs=self.logprobs, top_logprobs=20 if self.logprobs else 0)


class _InspectBackend:
    """Asks an Inspect model. A limit of the evaluation is the end of a budget."""

    price: Price | None = None

    def __init__(self, model: Model, capabilities: Capabilities) -> None:
        self.name, self.capabilities = str(model), capabilities
        self._model = model
        self._bound = PromptBound({})
        self.prompt_tokens = self._bound.of

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request.

        Raises:
            BudgetExceeded: If a limit of the evaluation does not allow it.
            ConfigError: If log-probabilities of a given text are asked for.
            InvalidResponse: If the model refused to answer.
        """
        from inspect_ai.util import LimitExceededError

        if request.given is not None:
            raise ConfigError(f"{self.name} through Inspect cannot score a given text")
        meter.prompt_tokens, meter.estimated = estimate(self._bound.seen(request)), True
        asked = [_message(message) for message in request.messages]
        try:
            output = await self._model.generate(asked, config=_config(request))
        except LimitExceededError as error:
            hit = limits_hit.get()
            if hit is not None:
                hit.append(error)
            kind = f"Inspect's {error.type} limit"
            raise BudgetExceeded(kind, spent=error.value, limit=error.limit) from error
        return self._completion(output, request, meter)

    def _completion(self, output: ModelOutput, request: Request, meter: Meter) -> Completion:
        if output.usage is not None:
            meter.settle(_usage(output))
            self._bound.learn(request, meter.prompt_tokens)
        if output.error is not None or not output.choices:
            raise InvalidResponse(f"{self.name}: {output.error or 'no choice in the answer'}")
        text, choice = output.completion, output.choices[0]
        if output.usage is None:
            meter.completion_tokens = estimate(len(text.encode()))
        meter.hear(text)
        is_cut = choice.stop_reason in {"max_tokens", "model_length"}
        return Completion(
            text=text,
            finish_reason="length" if is_cut else "stop",
            usage=meter.usage,
            logprobs=_logprobs(output) if request.logprobs else None,
            model=self.name,
        )


def _message(message: Message) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser}
    return kinds.get(message.role, ChatMessageAssistant)(content=message.content)


def _config(request: Request) -> GenerateConfig:
    """Return how to sample: what the run says stands before what the evaluation says."""
    from inspect_ai.model import GenerateConfig

    return GenerateConfig(
        temperature=request.temperature,
        top_p=request.top_p if request.top_p < 1.0 else None,
        top_k=request.top_k,
        max_tokens=request.max_tokens,
        stop_seqs=list(request.stop) or None,
        seed=request.seed,
        logprobs=request.logprobs or None,
        top_logprobs=request.top_logprobs or None,
    )


def _usage(output: ModelOutput) -> Usage:
    """Return the usage; Inspect counts what a prefix cache held beside the input."""
    told = output.usage
    assert told is not None  # asked by the caller
    read, written = told.input_tokens_cache_read or 0, told.input_tokens_cache_write or 0
    return Usage(
        prompt_tokens=told.input_tokens + read + written,
        completion_tokens=told.output_tokens,
        cached_tokens=read,
    )


def _logprobs(output: ModelOutput) -> tuple[TokenLogprob, ...] | None:
    told = output.choices[0].logprobs
    if told is None:
        return None
    return tuple(
        TokenLogprob(
            token=each.token,
            logprob=min(0.0, each.logprob),
            top=tuple((top.token, top.logprob) for top in each.top_logprobs or ()),
        )
        for each in told.content
    )
