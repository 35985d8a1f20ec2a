"""Budgets: what a run may spend, reserved before each call and settled after it."""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import anyio
from pydantic import Field

from tts.backends.base import Backend, Meter
from tts.errors import BackendTimeout, BudgetExceeded
from tts.frozen import Frozen
from tts.layers.base import Layer
from tts.messages import Completion, Request, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Account", "Budget", "Budgeted", "Spending"]


class Budget(Frozen):
    """The most a run may spend; None is no limit."""

    total_tokens: Annotated[int, Field(ge=1)] | None = None
    """Prompt and completion tokens of all calls."""
    calls: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(gt=0.0)] | None = None
    """Wall-clock seconds from the start of the run; calls in flight are then cancelled."""
    usd: Annotated[float, Field(gt=0.0)] | None = None
    """Dollars; needs models with a known price."""


class Spending(NamedTuple):
    """An amount of everything that a budget limits, time apart."""

    tokens: float = 0
    calls: float = 0
    usd: float = 0.0

    def plus(self, other: Spending) -> Spending:
        """Return the sum."""
        return Spending(self.tokens + other.tokens, self.calls + other.calls, self.usd + other.usd)

    def minus(self, other: Spending) -> Spending:
        """Return the difference."""
        return Spending(self.tokens - other.tokens, self.calls - other.calls, self.usd - other.usd)


class _Waiter:
    __slots__ = ("amount", "event", "granted")

    def __init__(self, amount: Spending) -> None:
        self.amount, self.event, self.granted = amount, anyio.Event(), False


class Account:
    """What of a budget is spent, and what is promised to calls in flight.

    A reservation that does not fit waits while calls in flight may still return part of theirs,
    and is refused when none is left that could. Reservations are served in order of arrival, so
    which calls of one `sample` are admitted does not depend on timing.

    Invariant: spent + promised never exceeds the budget, and `promised` is the sum over calls in
    flight.
    """

    def __init__(self, budget: Budget, started: float) -> None:
        self.budget = budget
        self.spent = Spending()
        self.promised = Spending()
        self.deadline = math.inf if budget.seconds is None else started + budget.seconds
        """Time on the event loop's clock after which no call may run."""
        limits = (budget.total_tokens, budget.calls, budget.usd)
        self._limit = Spending._make(math.inf if most is None else most for most in limits)
        self._started = started
        self._waiters: deque[_Waiter] = deque()
        self._scopes: set[anyio.CancelScope] = set()
        self._interrupted = False

    @property
    def remaining(self) -> Spending:
        """What is neither spent nor promised; infinite where there is no limit."""
        return self._limit.minus(self.spent).minus(self.promised)

    def interrupt(self) -> None:
        """End the budget now: calls in flight are cancelled, none is admitted any more."""
        self._interrupted = True
        for scope in self._scopes:
            scope.cancel()
        self._admit()

    async def reserve(self, amount: Spending) -> None:
        """Set an amount aside; pair it with `settle`.

        Raises:
            BudgetExceeded: If the amount cannot fit any more.
        """
        if not self._waiters and self._fits(amount) and not self._closed():
            self.promised = self.promised.plus(amount)
            return
        waiter = _Waiter(amount)
        self._waiters.append(waiter)
        self._admit()
        woken = False
        try:
            with anyio.move_on_at(self.deadline):
                await waiter.event.wait()
            woken = True
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._admit()
            elif waiter.granted and not woken:
                self.settle(amount, Spending())
        if waiter.granted and not self._closed():
            return
        if waiter.granted:  # and interrupted, or late, before it could begin
            self.settle(amount, Spending())
        raise self.refusal(amount)

    def settle(self, reserved: Spending, used: Spending) -> None:
        """Give a reservation back and book what was really used."""
        self.promised = self.promised.minus(reserved)
        self.spent = self.spent.plus(used)
        if self._waiters:
            self._admit()

    @contextmanager
    def limit(self, timeout: float) -> Iterator[anyio.CancelScope]:
        """Cancel what runs inside at the budget's deadline, on interrupt, or after `timeout` s."""
        deadline = min(self.deadline, anyio.current_time() + timeout)
        with anyio.CancelScope(deadline=deadline) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def refusal(self, amount: Spending) -> BudgetExceeded:
        """Return the error that says which limit stands against the amount."""
        if self._interrupted:
            return BudgetExceeded("interrupt", spent=0, limit=0)
        now = anyio.current_time()
        if now >= self.deadline:
            spent = now - self._started
            return BudgetExceeded("seconds", spent=spent, limit=self.budget.seconds or math.inf)
        for kind, spent, wanted, limit in zip(
            ("tokens", "calls", "usd"), self.spent, amount, self._limit, strict=True
        ):
            if spent + wanted > limit:
                return BudgetExceeded(kind, spent=spent, limit=limit)
        return BudgetExceeded("tokens", spent=self.spent.tokens, limit=self._limit.tokens)

    def _fits(self, amount: Spending) -> bool:
        left = self.remaining
        return (
            amount.tokens <= left.tokens and amount.calls <= left.calls and amount.usd <= left.usd
        )

    def _closed(self) -> bool:
        if self._interrupted:
            return True
        return self.budget.seconds is not None and anyio.current_time() >= self.deadline

    def _admit(self) -> None:
        """Serve waiters in order: admit what fits, refuse what nothing in flight can make fit."""
        while self._waiters:
            waiter = self._waiters[0]
            if self._closed():
                pass
            elif self._fits(waiter.amount):
                self.promised = self.promised.plus(waiter.amount)
                waiter.granted = True
            elif self.promised.calls > 0:
                return
            self._waiters.popleft()
            waiter.event.set()


class Budgeted(Layer):
    """Reserves the worst case of a call before it starts, and settles afterwards.

    The worst case is the prompt's upper bound and `max_tokens`, so calls in flight can never
    overshoot together.
    """

    def __init__(self, inner: Backend, account: Account) -> None:
        super().__init__(inner)
        self.account = account

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Reserve, pass on, settle.

        Raises:
            BudgetExceeded: If the call does not fit, or the budget ended while it ran.
            BackendTimeout: If the call took longer than `request.timeout` seconds.
        """
        account = self.account
        reserved = self._worst(request)
        await account.reserve(reserved)
        try:
            with account.limit(request.timeout) as scope:
                completion = await self.inner.generate(request, meter)
                meter.settle(completion.usage)
                return completion
        finally:
            account.settle(reserved, self._spending(meter.usage, int(meter.started)))
        if scope.deadline < account.deadline and not account._interrupted:
            raise BackendTimeout(f"{self.name}: no answer in {request.timeout:g} s")
        raise account.refusal(reserved)

    def _worst(self, request: Request) -> Spending:
        prompt = self.inner.prompt_tokens(request)
        context = self.inner.capabilities.context
        most = 0 if request.given is not None else request.max_tokens
        if context is not None:
            most = min(most, max(context - prompt, 0))
        return self._spending(Usage(prompt_tokens=prompt, completion_tokens=most), 1)

    def _spending(self, usage: Usage, calls: int) -> Spending:
        price = self.inner.price
        return Spending(usage.total_tokens, calls, price.of(usage) if price else 0.0)
