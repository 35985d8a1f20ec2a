"""Budgets: what a run may spend, and the account of what is spent and promised of it."""

from __future__ import annotations

import math
from collections import deque
from typing import Annotated, NamedTuple

import anyio
from pydantic import Field

from tts.backends.base import Meter, Price
from tts.errors import BudgetExceeded
from tts.frozen import Frozen

__all__ = ["Account", "Budget", "Spending"]


_ROUNDING_USD = 1e-12  # sums of prices are not exact


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


class _Sum:
    """A running sum of spendings."""

    __slots__ = ("calls", "tokens", "usd")

    def __init__(self) -> None:
        self.tokens = self.calls = self.usd = 0.0

    def add(self, amount: Spending) -> None:
        self.tokens += amount[0]
        self.calls += amount[1]
        self.usd += amount[2]

    def take(self, amount: Spending) -> None:
        self.tokens -= amount[0]
        self.calls -= amount[1]
        self.usd = self.usd - amount[2] if self.calls else 0.0  # no dust of rounding stays


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
        self._scope_type: type[anyio.CancelScope] | None = None
        self._spent, self._promised = _Sum(), _Sum()
        self.deadline = math.inf if budget.seconds is None else started + budget.seconds
        """Time on the event loop's clock at which `watch` ends the budget."""
        limits = (budget.total_tokens, budget.calls, budget.usd)
        self._limit = Spending._make(math.inf if most is None else most for most in limits)
        self._started = started
        self._waiters: deque[_Waiter] = deque()
        self._scopes: set[anyio.CancelScope] = set()
        self.ended_by: str | None = None
        """What ended the budget before it was spent: "seconds" or "interrupt"."""
        self.refused = Spending()
        """The most that the call would have taken that was refused last."""

    @property
    def remaining(self) -> Spending:
        """What is neither spent nor promised; infinite where there is no limit."""
        spent, promised, limit = self._spent, self._promised, self._limit
        return Spending(
            limit.tokens - spent.tokens - promised.tokens,
            limit.calls - spent.calls - promised.calls,
            limit.usd - spent.usd - promised.usd,
        )

    @property
    def spent(self) -> Spending:
        """What calls that ended have used."""
        return Spending(self._spent.tokens, self._spent.calls, self._spent.usd)

    @property
    def promised(self) -> Spending:
        """What is reserved for calls in flight."""
        return Spending(self._promised.tokens, self._promised.calls, self._promised.usd)

    @property
    def overspent(self) -> BudgetExceeded | None:
        """The first limit of which more is spent than it allows; None where all hold.

        Calls reserve the most that can be foreseen; a provider may count more.
        """
        for kind, spent, limit in zip(
            ("tokens", "calls", "usd"), self.spent, self._limit, strict=True
        ):
            if spent > limit + _ROUNDING_USD:
                return BudgetExceeded(kind, spent=spent, limit=limit)
        return None

    def spent_of(self, kind: str) -> float:
        """Return what is spent of a kind of limit; 0 for an interrupt."""
        if kind == "seconds":
            return anyio.current_time() - self._started
        return dict(zip(("tokens", "calls", "usd"), self.spent, strict=True)).get(kind, 0.0)

    async def watch(self) -> None:
        """End the budget at its deadline; runs beside the calls."""
        await anyio.sleep_until(self.deadline)
        self.end("seconds")

    def end(self, kind: str) -> None:
        """End the budget now: calls in flight are cancelled, none is admitted any more.

        Args:
            kind: What `BudgetExceeded` shall name: "seconds" or "interrupt".
        """
        self.ended_by = self.ended_by or kind
        for scope in tuple(self._scopes):
            scope.cancel()
        self._admit()

    def reserve_nowait(self, amount: Spending) -> bool:
        """Set an amount aside if that can be done at once; pair it with `settle`."""
        if self.ended_by is None and not self._waiters and self._fits(amount):
            self._promised.add(amount)
            return True
        return False

    async def reserve(self, amount: Spending) -> None:
        """Set an amount aside; pair it with `settle`.

        Raises:
            BudgetExceeded: If the amount cannot fit any more.
        """
        if self.reserve_nowait(amount):
            return
        waiter = _Waiter(amount)
        self._waiters.append(waiter)
        self._admit()
        woken = False
        try:
            await waiter.event.wait()
            woken = True
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._admit()
            elif waiter.granted and not woken:
                self.settle(amount, Spending())
        if waiter.granted and self.ended_by is None:
            return
        if waiter.granted:  # and the budget was ended before the call could begin
            self.settle(amount, Spending())
        raise self.refusal(amount)

    def settle(self, reserved: Spending, used: Spending) -> None:
        """Give a reservation back and book what was really used."""
        self._promised.take(reserved)
        self._spent.add(used)
        if self._waiters:
            self._admit()

    def charge(self, meter: Meter, price: Price | None) -> None:
        """Book what was spent without having been asked for."""
        cost = price.of(meter.prompt_tokens, meter.completion_tokens) if price else 0.0
        self.settle(Spending(), Spending(meter.total_tokens, meter.attempts, cost))

    def extend(self, amount: Spending) -> bool:
        """Set more aside for a call in flight, if it fits now; it is settled with the rest."""
        if self.ended_by is not None or not self._fits(amount):
            return False
        self._promised.add(amount)
        return True

    def open_scope(self, timeout: float | None) -> anyio.CancelScope:
        """Return a scope that the budget's end or the timeout (seconds) cancels.

        Pair it with `close_scope`.
        """
        if self._scope_type is None:
            # The event loop's own class: to find it again would cost as much as the scope.
            self._scope_type = type(anyio.CancelScope())
        scope = self._scope_type()
        if timeout is not None:
            scope.deadline = anyio.current_time() + timeout
        self._scopes.add(scope)
        return scope

    def close_scope(self, scope: anyio.CancelScope) -> None:
        """Forget a scope that was left."""
        self._scopes.discard(scope)

    def refusal(self, amount: Spending) -> BudgetExceeded:
        """Return the error that says which limit stands against the amount."""
        self.refused = amount
        if self.ended_by == "seconds":
            spent = anyio.current_time() - self._started
            return BudgetExceeded("seconds", spent=spent, limit=self.budget.seconds or spent)
        if self.ended_by is not None:
            return BudgetExceeded(self.ended_by, spent=0, limit=0)
        for kind, spent, wanted, limit in zip(
            ("tokens", "calls", "usd"), self.spent, amount, self._limit, strict=True
        ):
            if spent + wanted > limit:
                return BudgetExceeded(kind, spent=spent, limit=limit)
        return BudgetExceeded("tokens", spent=self.spent.tokens, limit=self._limit.tokens)

    def _fits(self, amount: Spending) -> bool:
        spent, promised, limit = self._spent, self._promised, self._limit
        return (
            amount[0] <= limit[0] - spent.tokens - promised.tokens
            and amount[1] <= limit[1] - spent.calls - promised.calls
            and amount[2] <= limit[2] - spent.usd - promised.usd + _ROUNDING_USD
        )

    def _admit(self) -> None:
        """Serve waiters in order: admit what fits, refuse what nothing in flight can make fit."""
        while self._waiters:
            waiter = self._waiters[0]
            if self.ended_by is None and self._fits(waiter.amount):
                self._promised.add(waiter.amount)
                waiter.granted = True
            elif self.ended_by is None and self._promised.calls > 0:
                return
            self._waiters.popleft()
            waiter.event.set()
