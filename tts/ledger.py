"""What a run costs, told twice: all tokens, and the tokens of the longest chain of calls.

The critical path is a logical clock (Lamport 1978): a call advances its task's clock by its
tokens, a child task starts at its parent's time, and a parent that consumes a child's result
moves on to the later of the two. Nobody declares anything: the run forks and joins clocks where
it starts and consumes concurrent work. The same clock counts the seconds that calls took, on the
chain that is the longest in seconds, which may be another one.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from tts.backends.base import Meter, Price
from tts.frozen import Frozen

__all__ = ["Clock", "Ledger", "RunUsage"]

_Count = Annotated[int, Field(ge=0)]


class RunUsage(Frozen):
    """The cost of a run; the keys are those that `tts run --json` prints."""

    calls: _Count = 0
    """Calls that were started; of several completions in one request, each is one."""
    cancelled_calls: _Count = 0
    """Calls that were cancelled before they finished; their tokens are counted."""
    cached_calls: _Count = 0
    """Calls that a cache answered: they were not started, and cost nothing."""
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    total_tokens: _Count = 0
    critical_tokens: _Count = 0
    """Prompt and completion tokens on the longest chain of calls that waited for each other."""
    critical_completion_tokens: _Count = 0
    """Completion tokens on that chain."""
    critical_seconds: Annotated[float, Field(ge=0.0)] = 0.0
    """Seconds on the chain of calls that is the longest in seconds, each call as long as it took
    when it was made: waiting for permits and rate limits and trying again included. Functions that
    a strategy calls are on it. At most `wall_seconds`, unless calls were answered by what a bench
    had kept."""
    cost_usd: Annotated[float, Field(ge=0.0)] | None = 0.0
    """None if the price of any call is unknown."""
    wall_seconds: Annotated[float, Field(ge=0.0)] = 0.0


class Clock(NamedTuple):
    """The longest chain of calls up to here: by tokens, and by seconds, each on its own."""

    tokens: int = 0
    """Prompt and completion tokens on the chain."""
    completion_tokens: int = 0
    seconds: float = 0.0
    """Seconds on the chain that is the longest in seconds."""

    def join(self, *others: Clock) -> Clock:
        """Return the time at which all of these are past.

        >>> Clock(9, 3, seconds=1.0).join(Clock(5, 4, seconds=2.0))
        Clock(tokens=9, completion_tokens=3, seconds=2.0)
        """
        every = (self, *others)
        tokens, completion_tokens, _ = max(every)
        return Clock(tokens, completion_tokens, max(each.seconds for each in every))

    def since(self, start: Clock) -> Clock:
        """Return what the chain has grown by since an earlier time on it."""
        return Clock(
            self.tokens - start.tokens,
            self.completion_tokens - start.completion_tokens,
            self.seconds - start.seconds,
        )

    def plus(self, more: Clock) -> Clock:
        """Return the time after a chain of that length."""
        return Clock(
            self.tokens + more.tokens,
            self.completion_tokens + more.completion_tokens,
            self.seconds + more.seconds,
        )

    def after(self, meter: Meter) -> Clock:
        """Return the time after a call that used so much."""
        return Clock(
            self.tokens + meter.prompt_tokens + meter.completion_tokens,
            self.completion_tokens + meter.completion_tokens,
            self.seconds + meter.seconds,
        )


class Ledger:
    """Sums the calls of a run; what a child run spends is also its parents'."""

    __slots__ = (
        "_parent",
        "cached",
        "calls",
        "cancelled",
        "completion_tokens",
        "cost_usd",
        "failures",
        "prompt_tokens",
    )

    def __init__(self, parent: Ledger | None = None) -> None:
        self._parent = parent
        self.calls = self.cached = self.cancelled = 0
        self.failures: Counter[str] = Counter()
        self.prompt_tokens = self.completion_tokens = 0
        self.cost_usd: float | None = 0.0

    def book(
        self,
        meter: Meter,
        price: Price | None,
        ending: Literal["ok", "cancelled", "failed", "divided"],
        *,
        role: str = "solve",
        draws: int = 1,
    ) -> None:
        """Book a call that left for the model, however it ended, or that a cache answered.

        Args:
            meter: What it used.
            price: The model's.
            ending: How it ended; `divided` failed, and its draws are made one by one.
            role: Who asked.
            draws: Completions that it brought, or was to bring: each counts as a call. Of a call
                that failed there is one.
        """
        prompt, completion = meter.prompt_tokens, meter.completion_tokens
        cost: float | None = 0.0  # of what a cache answered, whatever the price
        if not meter.cached:
            cost = None if price is None else price.of(prompt, completion, meter.cached_tokens)
        calls = draws if ending in {"ok", "cancelled"} else 1
        ledger: Ledger | None = self
        while ledger is not None:
            if meter.started:
                ledger.calls += calls
            if meter.cached:
                ledger.cached += calls
            if ending == "cancelled":
                ledger.cancelled += draws
            elif ending == "failed":
                ledger.failures[role] += draws
            ledger.prompt_tokens += prompt
            ledger.completion_tokens += completion
            if cost is None or ledger.cost_usd is None:
                ledger.cost_usd = None
            else:
                ledger.cost_usd += cost
            ledger = ledger._parent

    def lose(self, role: str, draws: int) -> None:
        """Count draws that came with others in one call, and could not be understood."""
        ledger: Ledger | None = self
        while ledger is not None:
            ledger.failures[role] += draws
            ledger = ledger._parent

    @property
    def failed(self) -> int:
        """Calls that failed, of all roles."""
        return self.failures.total()

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens of all calls."""
        return self.prompt_tokens + self.completion_tokens

    def told_of_failures(self) -> dict[str, Any]:
        """Return what a solution says of failed calls."""
        return {
            "failed_calls": self.failed,
            "failed_by_role": dict(sorted(self.failures.items())),
        }

    def usage(self, elapsed: Clock, wall_seconds: float) -> RunUsage:
        """Return the sums with the critical path that the run measured."""
        return RunUsage(
            calls=self.calls,
            cancelled_calls=self.cancelled,
            cached_calls=self.cached,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            total_tokens=self.total_tokens,
            critical_tokens=elapsed.tokens,
            critical_completion_tokens=elapsed.completion_tokens,
            critical_seconds=elapsed.seconds,
            cost_usd=self.cost_usd,
            wall_seconds=wall_seconds,
        )
