"""What a call has used so far, and what the layers tell each other about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tts.messages import ToolCall, Usage

__all__ = ["Meter", "RateInfo"]


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
    on_call: Callable[[ToolCall], None] | None = None
    """Hears each function call once its arguments are complete, in order, as far as that is before
    the end; a backend that can then streams."""
    heard: bool = False
    """True once a listener has heard something."""
    retractable: bool = False
    """The listener may hear a text again from its start, as after a failed attempt."""
    attempts: int = 0
    """Times that the call left for the model, failed ones and hedges included."""
    cached: bool = False
    """True if the answer came from the cache: nothing was spent."""
    hedged: bool = False
    """True if a second copy was sent because the first was slow."""
    began: bool = False
    """True once the model has made its first token."""
    on_begin: Callable[[], None] | None = None
    """Called when it does."""
    reserved: int | None = None
    """Tokens that the budget has set aside for the call; None without a budget."""
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
    seconds: float = 0.0
    """How long the call took, waits and failed attempts included. Set when it has ended; before,
    by whoever answers it with what was made earlier: what it took then."""

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

    def begin(self) -> None:
        """Note that the first token came: of the text, or of reasoning that nobody hears."""
        if not self.began:
            self.began = True
            if self.on_begin is not None:
                self.on_begin()

    def hear(self, text: str) -> None:
        """Pass a piece of the completion's text to the listener, if there is one."""
        self.begin()
        if self.listener is not None:
            self.heard = True
            self.listener(text)

    def hear_call(self, call: ToolCall) -> None:
        """Pass a function call that is complete to whoever waits for it."""
        self.begin()
        if self.on_call is not None:
            self.heard = True
            self.on_call(call)

    @property
    def is_listened_to(self) -> bool:
        """True if somebody hears the answer while it is made."""
        return self.listener is not None or self.on_call is not None

    def can_reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Set tokens aside for another attempt, beside what the call has reserved already.

        False if the budget has no room; without a budget there always is.
        """
        return self.reserve is None or self.reserve(prompt_tokens, completion_tokens)

    def attempt(self) -> Meter:
        """Return a fresh meter for another attempt: it shares the listeners and the budget."""
        return Meter(
            listener=None if self.listener is None else self.hear,
            on_call=None if self.on_call is None else self.hear_call,
            retractable=self.retractable,
            reserve=self.reserve,
            on_start=self.on_start,
            on_begin=None if self.on_begin is None else self.begin,
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
