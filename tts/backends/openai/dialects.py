"""What each server that speaks OpenAI's format can do, and how it differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from tts.backends.base import Capabilities
from tts.backends.wire.address import origin
from tts.frozen import Frozen

__all__ = ["DIALECTS", "Dialect", "Server", "server_at"]

Server: TypeAlias = Literal[
    "openai", "vllm", "sglang", "llamacpp", "ollama", "lmstudio", "tgi", "openrouter", "unknown"
]


class Dialect(Frozen):
    """One server's abilities and habits."""

    capabilities: Capabilities
    sends_seed: bool = True
    """It takes a seed, even where it does not promise the same text for it."""
    seeds_each_draw: bool = False
    """With n > 1, each draw gets a seed of its own, made from the request's; others may draw the
    same text n times, so they are sent none."""
    takes_top_k: bool = False
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    continues_by_flag: bool = False
    """Prefill needs `continue_final_message`; without it the last message alone says so."""
    repeats_prefill: bool = False
    """An answer begins with the assistant's words that it continues."""
    least_alternatives: Annotated[int, Field(ge=0)] = 0
    """Alternatives that must be asked for to be given log-probabilities at all."""
    whole: Mapping[str, int | float] = Field(default_factory=dict)
    """Fields without which it samples by defaults of its own, or of the model's author, and not
    from all that the model says: votes over its samples would be flattered."""
    usage_is_of_one: bool = False
    """With n > 1, the usage counts one choice only."""


_LLAMA: Final = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
_VLLM: Final = {"top_k": -1, "top_p": 1.0, "min_p": 0.0}

DIALECTS: dict[Server, Dialect] = {
    "openai": Dialect(
        capabilities=Capabilities(
            n=True, logprobs=True, top_logprobs=20, stream=True, json_schema=True, tools=True
        ),
        seeds_each_draw=True,
        max_tokens_field="max_completion_tokens",
    ),
    "vllm": Dialect(
        capabilities=Capabilities(
            n=True,
            seed=True,
            logprobs=True,
            top_logprobs=20,
            score=True,
            fork=True,
            prefill=True,
            stream=True,
            json_schema=True,
        ),
        seeds_each_draw=True,
        takes_top_k=True,
        continues_by_flag=True,
        whole=_VLLM,
    ),
    "sglang": Dialect(
        capabilities=Capabilities(
            n=True,
            logprobs=True,
            top_logprobs=20,
            fork=True,
            prefill=True,
            stream=True,
            json_schema=True,
        ),
        takes_top_k=True,
        continues_by_flag=True,
        whole=_VLLM,
    ),
    "llamacpp": Dialect(
        capabilities=Capabilities(
            n=True,
            seed=True,
            logprobs=True,
            top_logprobs=20,
            fork=True,
            prefill=True,
            stream=True,
            json_schema=True,
        ),
        seeds_each_draw=True,
        takes_top_k=True,
        repeats_prefill=True,
        least_alternatives=1,
        usage_is_of_one=True,
        whole=_LLAMA,
    ),
    "ollama": Dialect(
        capabilities=Capabilities(
            seed=True, logprobs=True, top_logprobs=20, fork=True, stream=True, json_schema=True
        ),
        whole={"top_p": 1.0},
    ),
    "lmstudio": Dialect(
        capabilities=Capabilities(seed=True, fork=True, stream=True, json_schema=True),
        takes_top_k=True,
        whole={"top_p": 1.0},
    ),
    "tgi": Dialect(
        capabilities=Capabilities(seed=True, logprobs=True, top_logprobs=5, stream=True)
    ),
    "openrouter": Dialect(capabilities=Capabilities(stream=True), takes_top_k=True),
    "unknown": Dialect(capabilities=Capabilities(stream=True)),
}
"""By server. An ability that a server has for some models only is not claimed; set it in YAML."""

_HOSTS: dict[str, Server] = {"api.openai.com": "openai", "openrouter.ai": "openrouter"}


def server_at(base_url: str) -> Server | None:
    """Return which server stands at an address, if the address alone tells.

    >>> server_at("https://api.openai.com/v1")
    'openai'
    """
    return _HOSTS.get(origin(base_url)[1])
