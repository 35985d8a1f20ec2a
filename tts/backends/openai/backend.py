"""The backend of OpenAI's format: one completion a call, or several."""

from __future__ import annotations

from typing import Any, Final

from tts.backends.base import Meter
from tts.backends.formats import Answer
from tts.backends.openai.dialects import Dialect
from tts.backends.openai.reading import read_usage
from tts.backends.openai.spelling import OpenAISpelling
from tts.backends.remote import RemoteBackend, is_free
from tts.errors import BackendError, ConfigError, InvalidResponse
from tts.messages import Completion, Request, Usage

__all__ = ["OpenAIBackend"]

_REFUSED: Final = frozenset({400, 422})


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

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request; see `RemoteBackend`.

        Several completions (`Request.n`) come in one answer that is not streamed; the prompt is
        computed and paid for once, and its tokens stand in the first one's usage. Completion
        tokens are shared out by length where the server counts them together.

        Raises:
            BackendError: If the call failed, or none of the completions could be understood.
            ConfigError: If the model cannot do it, or the server does not draw so many at once.
        """
        if request.n == 1:
            return await super().generate(request, meter)
        if request.given is not None:
            raise ConfigError(f"{self.name} cannot score a given text {request.n} times in a call")
        path, body = self._spelling.call(request, stream=False)
        payload = self._adjust(body)
        self._start(request, meter)
        try:
            value = await self._wire.post(path, payload, meter)
        except BackendError as error:
            if is_free(error):
                meter.prompt_tokens = 0
            if type(error) is BackendError and error.status in _REFUSED:
                raise ConfigError(
                    f"{self.name} refuses {request.n} completions in one call: {error}"
                ) from error
            raise
        return self._all(value, request, meter)

    def _all(self, value: Any, request: Request, meter: Meter) -> Completion:
        """Read all completions of an answer, in the order of their index."""
        with self._understood:
            said = read_usage(value.get("usage"))
            choices = sorted(value["choices"], key=lambda each: int(each["index"]))[: request.n]
        if said is not None:  # an answer that is refused below is billed all the same
            meter.settle(said)
            self._learn(request, said.prompt_tokens)
        answers = [self._one(choice, request) for choice in choices]
        read = [answer for answer in answers if isinstance(answer, Answer)]
        if not read:
            wrong = [answer for answer in answers if not isinstance(answer, Answer)]
            raise wrong[0] if wrong else InvalidResponse(f"{self.name}: no completion came")
        usages = iter(self._shared_out(said, read, meter))
        draws = tuple(
            self._completion(answer, next(usages)) if isinstance(answer, Answer) else None
            for answer in answers
        )
        drawn = [draw for draw in draws if draw is not None]
        usage = _sum([draw.usage for draw in drawn])
        if said is not None and not self._dialect.usage_is_of_one:
            usage = said
        meter.settle(usage)
        meter.hear(drawn[0].text)
        return drawn[0].model_copy(update={"usage": usage, "draws": draws})

    def _one(self, choice: Any, request: Request) -> Answer | InvalidResponse:
        """Read one completion; what is wrong with it is no fault of the others."""
        try:
            with self._understood:
                return self._spelling.read_choice(choice, None, request)
        except InvalidResponse as error:
            return error

    def _shared_out(self, total: Usage | None, answers: list[Answer], meter: Meter) -> list[Usage]:
        """Return each answer's usage; they add up to what the server said, if it said it of all."""
        sizes = [
            len(answer.logprobs) if answer.logprobs else answer.estimated_tokens
            for answer in answers
        ]
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
