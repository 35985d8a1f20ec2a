"""What crosses the wire: a `Request` goes down the stack of layers, a `Completion` comes up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tts.frozen import Frozen

__all__ = ["Completion", "Message", "Request", "Sampling", "TokenLogprob", "ToolCall", "Usage"]


_REASONING = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL)


def _as_json(value: object) -> object:
    if not isinstance(value, Mapping | str):
        return value  # for the field's own check
    schema = json.loads(value) if isinstance(value, str) else value
    if not isinstance(schema, Mapping):
        raise ValueError("it must be a JSON object")
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


class Message(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Frozen):
    """How tokens are drawn."""

    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0.8
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Smallest set of tokens with this probability mass; 1 keeps all."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """The k most probable tokens; None keeps all."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Most tokens a completion may have."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """The completion ends before the first of these; it is not part of the text."""


class Request(Sampling):
    """One call of a model."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)] = 1
    """Completions to draw in this one call (ability `n`); they share the seed."""
    seed: int | None = None
    """Seed of the draw, in [0, 2**31); None leaves it to the backend."""
    logprobs: bool = False
    """Ask for each token's log-probability."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    """Ask for the most probable alternatives of each token."""
    given: str | None = None
    """Sample nothing: return this text with its log-probabilities (ability `score`)."""
    json_schema: Annotated[str | None, BeforeValidator(_as_json)] = None
    """JSON Schema that the text must satisfy (ability `json_schema`); a mapping is kept as its
    JSON text, so that requests stay immutable."""
    tools: tuple[Annotated[str, BeforeValidator(_as_json)], ...] = ()
    """Functions that the model may call instead of answering (ability `tools`), each a definition
    `{"name", "description", "parameters"}`; a mapping is kept as its JSON text."""
    timeout: Annotated[float, Field(gt=0.0)] | None = None
    """Seconds after which the call is given up; None leaves it to the backend's own limits."""
    priority: int = 0
    """Where calls wait for their turn, those of higher priority go first."""
    role: str = "solve"
    """For the trace: which part of the strategy asks."""
    span: str = ""
    """For the trace: where in the run the call stands."""
    ticket: int = 0
    """For the trace: the call's place in submission order within its span."""


class TokenLogprob(Frozen):
    """A token with its natural-log probability under the model at temperature 1."""

    token: str
    logprob: Annotated[float, Field(le=0.0)]
    top: tuple[tuple[str, float], ...] = ()
    """Most probable tokens at this place with their log-probabilities, best first."""


class Usage(Frozen):
    """Tokens of one call, or of many."""

    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    """Reasoning that is not shown included."""
    cached_tokens: Annotated[int, Field(ge=0)] = 0
    """The part of the prompt's tokens that came from the provider's prefix cache."""
    estimated: bool = False
    """True where the provider did not say and the tokens were counted from the text."""

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


class ToolCall(Frozen):
    """A call of a function that was offered, as the model wrote it: nothing of it is checked."""

    name: str
    arguments: str
    """A JSON object, by the provider's word."""


class Completion(Frozen):
    """A model's answer to one request."""

    text: str
    reasoning: str = ""
    """Reasoning that the provider returns apart from the text."""
    finish_reason: Literal["stop", "length"] = "stop"
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] | None = None
    """One entry a token of the text; None when not asked for."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Functions that the model wants called, in its order; the text may then be empty."""
    model: str
    """Name of the model that answered."""
    draws: tuple[Completion | None, ...] = ()
    """Where several were asked for: each of them, this one's text among them. Their usages add up
    to this one's; None is one that could not be understood. There may be fewer than asked for."""

    @property
    def count(self) -> int:
        """How many completions this is."""
        return len(self.draws) or 1

    @property
    def visible(self) -> str:
        """The text without raw reasoning (`<think>` blocks), as it may enter another prompt."""
        text = _REASONING.sub("", self.text)
        return text.rpartition("</think>")[2].strip()  # some templates open the block themselves

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability of the tokens, or None without log-probabilities."""
        if not self.logprobs:
            return None
        return sum(entry.logprob for entry in self.logprobs) / len(self.logprobs)
