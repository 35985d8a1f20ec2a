"""How many calls of one model may be in flight, and how many may leave in a minute."""

from __future__ import annotations

import math
from typing import Final

import anyio

from tts.backends.base import Backend, Meter, RateInfo, most_tokens
from tts.backends.policy import Limits
from tts.errors import BackendError, BackendUnavailable, ConfigError, RateLimited
from tts.layers.base import Layer
from tts.layers.concurrency import AdaptiveWindow, Permits, Window
from tts.layers.line import Line, Waiter
from tts.layers.rate import Quota
from tts.messages import Completion, Request

__all__ = ["Limited"]

_BUSY: Final = frozenset({429, 503, 529})
"""Statuses of a provider that has too much to do."""
_LONGEST_CLOSURE: Final = 60.0
"""Most seconds for which a provider's word holds all calls back; quotas are by the minute."""
_INSTANT: Final = 1e-6
"""Seconds that are not waited for: an event loop's clock may wake a task a little early."""
_THROTTLED: Final = 60.0
"""Seconds after a refusal in which the provider counts as busy."""


class Limited(Layer):
    """Holds a permit while a call is in flight; further calls wait for their turn.

    A call takes its permit, its request and its tokens (prompt and `max_tokens`) together or not at
    all, and gives back what it did not use. When a provider says that nothing is left, or asks to
    wait, nothing leaves until then: one refusal is enough news for all. A call for several
    completions takes as many permits; one that is larger than the limit goes alone.

    Args:
        inner: The backend.
        concurrency: Most calls in flight; with `limits.concurrency` "auto", the most to try.
        limits: Quotas a minute.
        shared: Those of several models together, taken after the model's own.
    """

    def __init__(
        self,
        inner: Backend,
        concurrency: int,
        limits: Limits | None = None,
        shared: Permits | None = None,
    ) -> None:
        super().__init__(inner)
        limits = limits or Limits()
        if isinstance(limits.concurrency, int):
            concurrency = limits.concurrency
        self.window = (AdaptiveWindow if limits.concurrency == "auto" else Window)(concurrency)
        self._shared = shared
        self.in_flight = 0
        """Permits that calls hold now."""
        self._quota = Quota(limits) if limits.rpm or limits.tpm else None
        self._line = Line()
        self._opens = -math.inf
        self._refused = -math.inf
        self._alarm: anyio.CancelScope | None = None
        self._wake = math.inf

    @property
    def concurrency(self) -> int:
        """The most calls that may ever be in flight."""
        return self.window.most

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._line)

    @property
    def is_strained(self) -> bool:
        """True while calls wait, or the provider has refused one within the last minute."""
        return bool(self._line) or anyio.current_time() < self._refused + _THROTTLED

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Wait for a turn, then pass the request on."""
        tokens = 0 if self._quota is None else sum(most_tokens(self.inner, request))
        if self._line or not self._has_room(request.n) or self._delay(tokens) > _INSTANT:
            await self._turn(Waiter(request.priority, tokens, request.n))
        else:
            self._take(tokens, request.n)
        try:
            if self._shared is None:
                return await self._send(request, meter)
            async with self._shared.hold(request.n, request.priority):
                return await self._send(request, meter)
        finally:
            self.in_flight -= request.n
            if self._quota is not None:
                self._quota.settle(tokens, meter.total_tokens)
            if meter.rates is not None:
                self._believe(meter.rates)
            if self._line:
                self._admit()

    async def _send(self, request: Request, meter: Meter) -> Completion:
        epoch = self.window.epoch
        meter.start()
        try:
            completion = await self.inner.generate(request, meter)
        except BackendError as error:
            self._heed(error, epoch)
            raise
        except ConfigError:  # what the model cannot do never left
            meter.retract()
            raise
        meter.settle(completion.usage)
        self.window.succeed(self.in_flight)
        return completion

    def _delay(self, tokens: int) -> float:
        """Return the seconds until a call may leave, permits apart."""
        if self._quota is None and self._opens == -math.inf:
            return 0.0
        now = anyio.current_time()
        quota = self._quota.wait(tokens, now) if self._quota is not None else 0.0
        return max(quota, self._opens - now)

    def _has_room(self, permits: int) -> bool:
        return self.in_flight == 0 or self.in_flight + permits <= self.window.limit

    def _take(self, tokens: int, permits: int) -> None:
        self.in_flight += permits
        if self._quota is not None:
            self._quota.take(tokens, anyio.current_time())

    async def _turn(self, waiter: Waiter) -> None:
        """Wait until admitted. One of those that wait also keeps the time for all."""
        self._line.join(waiter)
        self._admit()
        goes = False
        try:
            while not waiter.is_admitted:
                if self._alarm is None:
                    await self._keep_time(waiter)
                else:
                    await waiter.event.wait()
                if not waiter.is_admitted:
                    waiter.event = anyio.Event()
            goes = True
        finally:
            if not goes:
                self._withdraw(waiter)

    def _withdraw(self, waiter: Waiter) -> None:
        """Undo the waiting, and the admission, of a call that was cancelled."""
        if waiter.is_admitted:
            self.in_flight -= waiter.permits
            if self._quota is not None:
                self._quota.cancel(waiter.tokens)
        self._line.leave(waiter)
        self._admit()

    async def _keep_time(self, waiter: Waiter) -> None:
        """Wait for the waiter's turn, and admit whoever may go when the time has come."""
        try:
            with anyio.CancelScope(deadline=self._wake) as self._alarm:
                await waiter.event.wait()
        finally:
            self._alarm = None
        self._admit()

    def _admit(self) -> None:
        """Let those go that may; set the time at which to look again."""
        while self._line and self.in_flight < self.window.limit:
            waiter = self._line.admit(self._may_go)
            if waiter is None:
                break
            self._take(waiter.tokens, waiter.permits)
            waiter.event.set()
        first = self._line.first()
        if first is not None and not self._has_room(first.permits):
            first = None
        # Without a permit there is no time to wait for: the call that returns one looks again.
        self._wake = math.inf if first is None else anyio.current_time() + self._delay(first.tokens)
        if self._alarm is not None:
            self._alarm.deadline = self._wake
        elif first is not None:
            first.event.set()  # whoever kept the time has gone: this one does now

    def _may_go(self, waiter: Waiter) -> bool:
        return self._has_room(waiter.permits) and self._delay(waiter.tokens) <= _INSTANT

    def _heed(self, error: BackendError, epoch: int) -> None:
        """Learn from a call that failed."""
        is_busy = type(error) in {BackendError, BackendUnavailable} and error.status in _BUSY
        if isinstance(error, RateLimited) or is_busy:
            self.window.congest(epoch)
            self._refused = anyio.current_time()
        if isinstance(error, RateLimited | BackendUnavailable) and error.retry_after is not None:
            self._close(error.retry_after)

    def _believe(self, rates: RateInfo) -> None:
        """Learn from what the provider says is left."""
        if self._quota is not None:
            self._quota.heed(rates)
        if rates.requests == 0 and rates.requests_reset is not None:
            self._close(rates.requests_reset)
        if rates.tokens == 0 and rates.tokens_reset is not None:
            self._close(rates.tokens_reset)

    def _close(self, seconds: float) -> None:
        """Hold all calls back for a while."""
        seconds = min(seconds, _LONGEST_CLOSURE)
        self._opens = max(self._opens, anyio.current_time() + seconds)
