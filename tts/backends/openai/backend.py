"""The backend of OpenAI's format: one completion a call, or several."""

from __future__ import annotations

from typing import Any

from tts.backends.base import Meter
from tts.backends.formats import Answer
from tts.backends.openai.dialects import Dialect
from tts.backends.openai.reading import read_usage
from tts.backends.openai.spelling import OpenAISpelling
from tts.backends.remote import RemoteBackend
from tts.errors import ConfigError
from tts.messages import Completion, Request, Usage

__all__ = ["OpenAIBackend"]


class OpenAIBackend(RemoteBackend):
    """A model behind a server that speaks OpenAI's format.

    Args:
        spelling: How it speaks it.
        dialect: How the server differs.
        settings: As `RemoteBackend`.
    """

    def __init__(self, spelling: OpenAISpelling, dialect: Dialect, **settings: Any) -> None:
        super().__init__(spelling=spelling, **settings)
        self._spelling, self._dialect = spelling, dialect

    async def generate_n(self, request: Request, n: int, meter: Meter) -> tuple[Completion, ...]:
        """Draw n completions of one prompt in one call, which is computed and paid for once.

        The draws share the request's seed and cannot be repeated one by one. The prompt's tokens
        stand in the first completion's usage; completion tokens are shared out by length where the
        server counts them together.

        Args:
            request: What is asked; not to be streamed or scored.
            n: Completions; at least 1.
            meter: Advanced by all of them.

        Raises:
            BackendError: If the call failed.
            ConfigError: If the model cannot do it.
        """
        if n < 1 or not (self.capabilities.n or n == 1) or request.given is not None:
            raise ConfigError(f"{self.name} cannot make {n} completions in one call (ability n)")
        path, body = self._spelling.call(request, stream=False)
        self._start(request, meter)
        value = await self._wire.post(path, self._adjust({**body, "n": n}), meter)
        with self._understood:
            answers = self._spelling.read_all(value, request, n)
            usages = self._shared_out(value.get("usage"), answers, meter)
        completions = tuple(
            self._completion(answer, usage) for answer, usage in zip(answers, usages, strict=True)
        )
        meter.settle(_sum(usages))
        return completions

    def _shared_out(self, said: Any, answers: list[Answer], meter: Meter) -> list[Usage]:
        """Return each answer's usage; they add up to what the server said, if it said it of all."""
        sizes = [
            len(answer.logprobs) if answer.logprobs else answer.estimated_tokens
            for answer in answers
        ]
        total = read_usage(said)
        prompt = total.prompt_tokens if total else meter.prompt_tokens
        cached = total.cached_tokens if total else 0
        is_exact = all(answer.logprobs for answer in answers)
        if total is not None and not (is_exact or self._dialect.usage_is_of_one):
            sizes = _portions(total.completion_tokens, sizes)
        estimated = total is None or not (is_exact or len(answers) == 1)
        return [
            Usage(
                prompt_tokens=0 if index else prompt,
                cached_tokens=0 if index else cached,
                completion_tokens=size,
                estimated=estimated,
            )
            for index, size in enumerate(sizes)
        ]


def _portions(total: int, sizes: list[int]) -> list[int]:
    """Share a number out in proportion to sizes; nothing is lost to rounding.

    >>> _portions(10, [1, 1, 1])
    [3, 3, 4]
    """
    whole, given, portions = sum(sizes) or 1, 0, []
    for index in range(1, len(sizes) + 1):
        share = total * sum(sizes[:index]) // whole if index < len(sizes) else total
        portions.append(share - given)
        given = share
    return portions


def _sum(usages: list[Usage]) -> Usage:
    return Usage(
        prompt_tokens=sum(each.prompt_tokens for each in usages),
        completion_tokens=sum(each.completion_tokens for each in usages),
        cached_tokens=sum(each.cached_tokens for each in usages),
        estimated=any(each.estimated for each in usages),
    )
