"""What problems of an open solver hand on to those that begin later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import anyio

from tts.layers import Account, Spending

__all__ = ["Adds", "Carried", "Share"]


class Adds(Protocol):
    """A value that others of its kind can be added to."""

    def __add__(self, other: Self, /) -> Self:
        """Return the sum."""
        ...


_T = TypeVar("_T", bound=Adds)
_Kind = TypeVar("_Kind")


@dataclass(slots=True)
class Share(Generic[_T]):
    """A problem's place among those that share a sum.

    Attributes:
        ticket: Its place in the order in which problems began, from 0.
        before: The sum of what earlier problems have handed on.
        own: What it hands on itself when it ends.
    """

    ticket: int
    before: _T
    own: _T


class Carried:
    """What outlives a problem. A solver has one; strategies keep no state.

    Sums, by key, may decide answers, and are ordered for it: a problem takes a ticket when it
    begins. It sees what tickets up to `ticket - lag` have handed on, all of them, and waits for
    those; what later ones have handed on already is not looked at. So what it sees depends on the
    order in which problems begin, never on which finishes first.

    What is `remembered`, such as how long a function took, may decide no answer.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line[Any]] = {}
        self._remembered: dict[type, Any] = {}

    def remembered(self, kind: type[_Kind]) -> _Kind:
        """Return the one object of this class, made when first asked for."""
        found: _Kind = self._remembered.setdefault(kind, kind())
        return found

    @asynccontextmanager
    async def join(
        self, key: str, empty: _T, *, lag: int, account: Account
    ) -> AsyncIterator[Share[_T]]:
        """Open a problem's share; when it is left, however that is, `own` is handed on.

        Args:
            key: Problems with the same key share a sum.
            empty: The sum of none.
            lag: Problems that may be under way at once without seeing each other; at least 1.
            account: Its end ends the wait for earlier problems.

        Raises:
            BudgetExceeded: If the budget ended before they did.
        """
        line: _Line[_T] = self._lines.setdefault(key, _Line(empty))
        ticket = line.take()
        share = Share(ticket, empty, empty)
        scope = account.open_scope(None)
        try:
            with scope:
                share.before = await line.sum_of(max(0, ticket - lag + 1))
            account.close_scope(scope)
            if account.ended_by is not None:
                raise account.refusal(Spending())
            yield share
        finally:
            account.close_scope(scope)
            line.hand_on(ticket, share.own)


class _Line(Generic[_T]):
    """The problems of one key."""

    def __init__(self, empty: _T) -> None:
        self._sums = [empty]
        self._early: dict[int, _T] = {}
        self._taken = 0
        self._news = anyio.Event()

    def take(self) -> int:
        self._taken += 1
        return self._taken - 1

    async def sum_of(self, count: int) -> _T:
        """Return the sum of the first shares, once all of them are there."""
        while len(self._sums) <= count:
            await self._news.wait()
        return self._sums[count]

    def hand_on(self, ticket: int, own: _T) -> None:
        self._early[ticket] = own
        while (following := len(self._sums) - 1) in self._early:
            self._sums.append(self._sums[-1] + self._early.pop(following))
        news, self._news = self._news, anyio.Event()
        news.set()
