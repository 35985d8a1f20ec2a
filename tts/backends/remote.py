"""A model behind a wire: what all remote backends share, whatever their provider's format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from tts.backends.base import Capabilities, Expected, Meter, Price
from tts.backends.bounds import PromptBound
from tts.backends.formats import Answer, Ear, Format, estimate
from tts.backends.prices import list_price
from tts.backends.wire import Remote, Story, Wire
from tts.errors import (
    BackendError,
    BackendTimeout,
    ConfigError,
    InvalidResponse,
    TTSError,
)
from tts.messages import Completion, Message, Request, Usage
from tts.registry import mistake, nearest

__all__ = ["RemoteBackend", "RemoteSettings", "is_free"]

_MISSHAPEN = (KeyError, IndexError, TypeError, AttributeError, ValueError)


class RemoteBackend:
    """A model on a server.

    Args:
        wire: Leads to the server.
        spelling: The provider's format.
        name: Name of the model.
        capabilities: What it can do.
        price: Dollars per million tokens; None where unknown.
        extra: Fields that `adjust` adds to each request.
        adjust: Has the last word on a request's body.
        always_stream: Stream every call, so that a cancelled one is charged for what it had made.
    """

    def __init__(
        self,
        *,
        wire: Wire,
        spelling: Format,
        name: str,
        capabilities: Capabilities,
        adjust: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        extra: Mapping[str, Any] = MappingProxyType({}),
        price: Price | None = None,
        always_stream: bool = False,
    ) -> None:
        self.name, self.capabilities, self.price = name, capabilities, price
        self._wire, self._format, self._adjust = wire, spelling, adjust
        self._always_stream = always_stream
        self._understood = _Understood(name)
        self._bound = PromptBound(extra)
        self._counted: tuple[tuple[Message, ...], int] = ((), 0)
        self.prompt_tokens = self._bound.of

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request.

        A cancelled call is charged its prompt; its completion only as far as it was streamed.

        Args:
            request: What is asked.
            meter: Advanced while tokens arrive; estimated until the provider says.

        Raises:
            BackendError: If the call failed.
            ConfigError: If the request asks for what the model cannot do.
        """
        streams = self._streams(request, meter)
        path, body = self._format.call(request, stream=streams)
        payload = self._adjust(body)
        self._start(request, meter)
        try:
            if streams:
                answer = await self._streamed(request, path, payload, meter)
            else:
                answer = await self._whole(request, path, payload, meter)
        except BackendError as error:
            if is_free(error) and not meter.completion_tokens:
                meter.prompt_tokens = 0
            raise
        usage = answer.usage
        if usage is None:
            usage = self._estimate(request, answer, meter)
        else:
            self._learn(request, usage.prompt_tokens)
        meter.settle(usage)
        return self._completion(answer, usage)

    def _start(self, request: Request, meter: Meter) -> None:
        """Charge the prompt: as the provider counted the same prompt before, or an estimate."""
        messages, tokens = self._counted
        meter.started = meter.estimated = True
        if request.given is None and messages == request.messages:
            meter.prompt_tokens = tokens
        else:
            meter.prompt_tokens = estimate(self._bound.seen(request))

    def _learn(self, request: Request, prompt_tokens: int) -> None:
        """Keep what the provider counted: the next call of the prompt is charged and bounded so."""
        self._bound.learn(request, prompt_tokens)
        if request.given is None:
            self._counted = (request.messages, prompt_tokens)

    def _streams(self, request: Request, meter: Meter) -> bool:
        wanted = meter.is_listened_to or self._always_stream
        return wanted and self.capabilities.stream and request.given is None

    async def _whole(
        self, request: Request, path: str, payload: dict[str, Any], meter: Meter
    ) -> Answer:
        value = await self._wire.post(path, payload, meter)
        with self._understood:
            try:
                answer = self._format.read(value, request)
            except (TTSError, *_MISSHAPEN):  # an answer that is refused is billed all the same
                usage = self._format.usage(value)
                if usage is not None:
                    meter.settle(usage)
                raise
        meter.hear(answer.text)
        return answer

    async def _streamed(
        self, request: Request, path: str, payload: dict[str, Any], meter: Meter
    ) -> Answer:
        ear = Ear(meter, request.max_tokens)
        teller = self._format.teller(request, ear)
        value = await self._wire.stream(
            path, payload, _Careful(teller, ear, self._understood), meter
        )
        with self._understood:
            if value is None:
                return teller.answer()
            answer = self._format.read(value, request)  # the server did not stream
        meter.hear(answer.text)
        return answer

    def _estimate(self, request: Request, answer: Answer, meter: Meter) -> Usage:
        """Count what the provider did not."""
        made = 0
        if request.given is None:
            made = len(answer.logprobs or ()) or answer.estimated_tokens
        return Usage(prompt_tokens=meter.prompt_tokens, completion_tokens=made, estimated=True)

    def _completion(self, answer: Answer, usage: Usage) -> Completion:
        with self._understood:
            return Completion(
                text=answer.text,
                reasoning=answer.reasoning,
                finish_reason=answer.finish,
                usage=usage,
                logprobs=answer.logprobs,
                tool_calls=answer.tool_calls,
                model=self.name,
            )


def is_free(error: BackendError) -> bool:
    """Return whether the provider did nothing: it was not reached, or refused the request."""
    is_refused = error.status is not None and error.status >= 300
    return not error.sent or (is_refused and not isinstance(error, BackendTimeout))


class _Careful:
    """A story that turns misshapen events into our error, but not what a listener raises."""

    __slots__ = ("_ear", "_story", "_understood")

    def __init__(self, story: Story, ear: Ear, understood: _Understood) -> None:
        self._story, self._ear, self._understood = story, ear, understood

    @property
    def is_whole(self) -> bool:
        return self._story.is_whole

    def read(self, event: Any) -> bool:
        with self._understood:
            is_enough = self._story.read(event)
        self._ear.pass_on()
        return is_enough


class _Understood:
    """Raises `InvalidResponse` for a value of the wrong shape; made once a backend, for speed."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, _MISSHAPEN) and not isinstance(error, TTSError):
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InvalidResponse(
                f"{self._name}: the answer has not the expected shape ({reason})"
            ) from error


class RemoteSettings(Remote):
    """A remote model's settings, abilities included."""

    carriage: ClassVar[frozenset[str]] = frozenset(
        {
            "api_key_env",
            "price",
            "timeouts",
            "max_response_bytes",
            "allow_http",
            "ca_file",
            "proxy",
            "always_stream",
        }
    )

    capabilities: dict[str, bool | int] = Field(default_factory=dict)
    """Abilities that differ from what is known of the model."""

    @model_validator(mode="after")
    def _knows_its_abilities(self) -> Self:
        known = tuple(Capabilities.model_fields)
        for name in self.capabilities:
            if name not in known:
                message = f"no such ability; {nearest(name, known)}"
                raise mistake(type(self), ("capabilities", name), message, name)
        return self

    def expected(self) -> Expected:
        """Return what is known of the model by its name and address."""
        model = getattr(self, "model", None)
        price = self.price or (list_price(self.base_url, model) if model else None)
        return Expected(self.known_abilities(), price)

    def known_abilities(self) -> Capabilities | None:
        """Return what the model can do; None if the server must be asked."""
        return None

    def made_with(self, wire: Wire, model: str, can: Capabilities) -> dict[str, Any]:
        """Return what a `RemoteBackend` takes besides its spelling."""
        return {
            "wire": wire,
            "name": model,
            "capabilities": can,
            "price": self.price or list_price(self.base_url, model),
            "adjust": self.with_extras,
            "extra": {name: each for name, each in self.extra.items() if name not in self.omit},
            "always_stream": self.always_stream,
        }

    def abilities(self, **known: Any) -> Capabilities:
        """Return what the model can do: what is known of it, and what the settings say instead.

        Raises:
            ConfigError: If a setting has the wrong type.
        """
        try:
            return Capabilities.model_validate(
                {"context": self.context, **known, **self.capabilities}
            )
        except ValidationError as error:
            ability = error.errors()[0]["loc"][0]
            raise ConfigError(f"capabilities: {ability}: {error.errors()[0]['msg']}") from error
