"""How providers spell: what a format must do, and what formats share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from tts.backends.base import Capabilities, Meter
from tts.backends.wire import Story
from tts.errors import ConfigError, InvalidResponse
from tts.messages import Request, TokenLogprob, ToolCall, Usage

__all__ = ["Answer", "Call", "Ear", "Format", "Teller", "check_said", "estimate", "refuse_unable"]

_BYTES_A_TOKEN = 4


class Call(NamedTuple):
    """Where a request is posted, and its body."""

    path: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider's answer says."""

    text: str
    finish: Literal["stop", "length"] = "stop"
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def estimated_tokens(self) -> int:
        """About how many tokens text, reasoning and calls are."""
        calls = "".join(call.name + call.arguments for call in self.tool_calls)
        return estimate(len((self.text + self.reasoning + calls).encode()))


class Teller(Story, Protocol):
    """A story that ends in an answer."""

    def answer(self) -> Answer:
        """Return what was told."""
        ...


class Format(Protocol):
    """How a provider spells requests and answers.

    A value of another shape than the provider promises may raise any of `KeyError`, `IndexError`,
    `TypeError`, `AttributeError` and `ValueError`; the backend makes an `InvalidResponse` of it.
    """

    def call(self, request: Request, *, stream: bool) -> Call:
        """Spell a request.

        Raises:
            ConfigError: If it asks for what the model cannot do.
        """
        ...

    def usage(self, value: Any) -> Usage | None:
        """Read what the JSON of an answer says was used; None if it does not say."""
        ...

    def read(self, value: Any, request: Request) -> Answer:
        """Read the JSON of an answer."""
        ...

    def teller(self, request: Request, ear: Ear) -> Teller:
        """Return what reads a streamed answer."""
        ...


class Ear:
    """Hears a streamed answer and advances the meter; tokens are estimated until the end.

    A piece is a token at least, and a token is about four bytes: whichever count is larger.
    """

    __slots__ = ("_aloud", "_bytes", "_meter", "_most", "_pieces")

    def __init__(self, meter: Meter, most: int) -> None:
        self._meter, self._most = meter, most
        self._bytes = self._pieces = 0
        self._aloud: list[str | ToolCall] = []

    def hear(self, text: str, *, aloud: bool = True) -> None:
        """Take in a piece of text.

        Args:
            text: The piece; nothing is heard if it is empty.
            aloud: Pass it on to the listener; reasoning is only counted.
        """
        if not text:
            return
        self._pieces += 1
        self._bytes += len(text.encode())
        tokens = max(self._pieces, estimate(self._bytes))
        self._meter.completion_tokens = min(tokens, self._most)
        if aloud:
            self._aloud.append(text)

    def hear_calls(self, calls: Iterable[ToolCall]) -> None:
        """Take in function calls that are complete; their parts were heard before."""
        self._aloud += calls

    def pass_on(self) -> None:
        """Give listeners what was heard since the last time; reasoning too is a beginning."""
        if self._pieces:
            self._meter.begin()
        heard, self._aloud = self._aloud, []
        for each in heard:
            if isinstance(each, str):
                self._meter.hear(each)
            else:
                self._meter.hear_call(each)


def refuse_unable(name: str, request: Request, can: Capabilities) -> None:
    """Refuse a request for what the model cannot do, before it is paid for.

    Raises:
        ConfigError: Naming the ability.
    """
    last = request.messages[-1].role
    if not (
        request.logprobs
        or request.top_logprobs
        or request.given is not None
        or request.json_schema is not None
        or request.tools
        or request.n > 1
        or last == "assistant"
    ):
        return
    wanted = {
        "logprobs": request.logprobs or request.top_logprobs > 0,
        "score": request.given is not None,
        "json_schema": request.json_schema is not None,
        "tools": bool(request.tools),
        "n": request.n > 1,
        "prefill": last == "assistant" and request.given is None,
    }
    for ability, is_wanted in wanted.items():
        if is_wanted and not getattr(can, ability):
            raise ConfigError(
                f"{name} has no {ability!r}: ask another model, or set "
                f"capabilities: {{{ability}: true}} if it can after all"
            )
    if request.top_logprobs > can.top_logprobs:
        raise ConfigError(
            f"{name} gives {can.top_logprobs} alternatives a token, not {request.top_logprobs}"
        )


def check_said(text: str, *, is_cut: bool, refusal: str = "") -> None:
    """Refuse an answer without a text, unless it was cut before it came to speak.

    Args:
        text: The text.
        is_cut: True if the tokens ran out.
        refusal: Why the provider withheld the answer, if it did.

    Raises:
        InvalidResponse: If there is nothing to go on with.
    """
    if text or is_cut:
        return
    if refusal:
        raise InvalidResponse(f"the provider withheld the answer ({refusal})")
    raise InvalidResponse("the answer holds no text")


def estimate(size: int) -> int:
    """Estimate the tokens of so many bytes."""
    return -(-size // _BYTES_A_TOKEN)
