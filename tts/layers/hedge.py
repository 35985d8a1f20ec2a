"""Sending a slow call a second time, and taking the copy that speaks first."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from functools import partial

import anyio

from tts.backends.base import Backend, Meter, most_tokens
from tts.backends.policy import Hedge
from tts.errors import BackendError
from tts.layers.base import Layer
from tts.layers.rate import Allowance
from tts.messages import Completion, Request, ToolCall
from tts.tasks import first_error

__all__ = ["Hedged", "RecentQuantile"]


class Hedged(Layer):
    """Sends a call again when its first token is late; the slower copy is cancelled.

    Only the first token counts, be it of reasoning that nobody hears: how long a whole answer takes
    is its length, which both copies share. Late is measured from when the call left, so waiting for
    a turn does not count. Not hedged are calls of a model that does not stream, of a given text or
    for several completions, calls while others wait or the provider refuses some, and what the
    allowance or the budget has no room for.

    Source: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013.

    Args:
        inner: What is asked.
        hedge: The settings.
        is_strained: Says whether the provider has enough to do already.
    """

    def __init__(
        self, inner: Backend, hedge: Hedge, is_strained: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(inner)
        self.hedge = hedge
        self.first_tokens = RecentQuantile(hedge.window)
        """Seconds until the first token of recent calls."""
        self._is_strained = is_strained
        self._allowance = Allowance(hedge.extra, most=10.0)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Pass the request on, twice if need be.

        Raises:
            BackendError: If the copy that spoke first failed, or all did.
        """
        if request.given is not None or request.n > 1 or not self.capabilities.stream:
            return await self.inner.generate(request, meter)
        self._allowance.earn()
        race = _Race(self.inner, request, meter)
        first = race.enter()
        if len(self.first_tokens) < self.hedge.warm_up:
            await race.run(first)
        else:
            with first_error():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._watch, race)
                    await race.run(first)
                    if len(race.copies) == 1 or race.winner is first:
                        tasks.cancel_scope.cancel()
        self._learn(first)
        return race.result()

    async def _watch(self, race: _Race) -> None:
        """Send the second copy if the first is late."""
        await race.has_left.wait()
        with anyio.move_on_after(self.first_tokens.value(self.hedge.quantile)):
            await race.is_decided.wait()
        if (
            race.winner is None
            and not self._is_strained()
            and self._allowance.spend()
            and race.meter.can_reserve(*most_tokens(self.inner, race.request))
        ):
            race.meter.hedged = True
            await race.run(race.enter())

    def _learn(self, copy: _Copy) -> None:
        if copy.left is not None and copy.ended is not None and copy.meter.attempts == 1:
            self.first_tokens.add(copy.ended - copy.left)


class _Copy:
    """One copy of the call.

    Attributes:
        left: When it left for the model.
        ended: When its first token came, or when it was given up for being slower: then the wait
            for its first token was at least as long. None if it failed before.
    """

    __slots__ = ("completion", "ended", "error", "left", "meter", "scope")

    def __init__(self) -> None:
        self.meter, self.scope = Meter(), anyio.CancelScope()
        self.left: float | None = None
        self.ended: float | None = None
        self.completion: Completion | None = None
        self.error: BackendError | None = None


class _Race:
    """The copies of one call; the first that says something has won."""

    def __init__(self, backend: Backend, request: Request, meter: Meter) -> None:
        self.backend, self.request, self.meter = backend, request, meter
        self.copies: list[_Copy] = []
        self.winner: _Copy | None = None
        self.has_left, self.is_decided = anyio.Event(), anyio.Event()

    def enter(self) -> _Copy:
        """Return another copy, ready to run."""
        copy = _Copy()
        copy.meter = Meter(
            listener=partial(self._hear, copy),
            on_call=partial(self._hear_call, copy),
            retractable=not self.meter.is_listened_to or self.meter.retractable,
            reserve=self.meter.reserve,
            on_start=partial(self._leave, copy),
            on_begin=partial(self._decide, copy),
        )
        self.copies.append(copy)
        return copy

    async def run(self, copy: _Copy) -> None:
        """Run a copy until it ends or has lost; its tokens are charged in any case."""
        try:
            with copy.scope:
                copy.completion = await self.backend.generate(self.request, copy.meter)
                self._decide(copy)
        except BackendError as error:
            copy.error = error
        finally:
            self.meter.add(copy.meter)

    def result(self) -> Completion:
        """Return the winner's answer, or raise the error of the winner or of the first copy."""
        decisive = self.winner or self.copies[0]
        if decisive.completion is not None:
            return decisive.completion
        assert decisive.error is not None
        raise decisive.error

    def _leave(self, copy: _Copy) -> None:
        if copy.left is None:
            copy.left = anyio.current_time()
        self.has_left.set()

    def _hear(self, copy: _Copy, text: str) -> None:
        if self.winner is copy:
            self.meter.hear(text)

    def _hear_call(self, copy: _Copy, call: ToolCall) -> None:
        if self.winner is copy:
            self.meter.hear_call(call)

    def _decide(self, copy: _Copy) -> None:
        if self.winner is None:
            self.winner = copy
            self.meter.begin()
            self.is_decided.set()
            for one in self.copies:
                one.ended = anyio.current_time()
                if one is not copy:
                    one.scope.cancel()


class RecentQuantile:
    """Quantiles of the last values.

    >>> recent = RecentQuantile(window=3)
    >>> for value in (9.0, 1.0, 3.0, 2.0):
    ...     recent.add(value)
    >>> len(recent), recent.value(0.5)
    (3, 2.0)
    """

    def __init__(self, window: int) -> None:
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, value: float) -> None:
        """Remember a value, and forget the oldest if there are too many."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(value)
        insort(self._sorted, value)

    def value(self, quantile: float) -> float:
        """Return the least value that this part of all values does not exceed.

        Raises:
            IndexError: If there is none.
        """
        return self._sorted[max(0, math.ceil(quantile * len(self._sorted)) - 1)]
