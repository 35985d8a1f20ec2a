"""What problems of an open solver hand on to those that begin later."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, Self, TypeVar

import anyio

from tts.errors import BackendTimeout, ConfigError
from tts.layers import Account, Spending

__all__ = ["PATIENCE", "Adds", "Carried", "Share"]

PATIENCE: Final = 24 * 3600.0
"""Seconds that a problem waits for earlier ones without any of them handing on."""


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

    Sums, by key, may decide answers, and are ordered for it: problems are numbered as they begin.
    Number k sees what those up to k - lag have handed on, all of them, and waits until each has
    handed on or ended; what later ones have handed on already is not looked at. So what it sees
    depends on the order in which problems begin, never on which finishes first. What a problem
    *decides* before it is cut short by a budget, a failure or a cancellation may depend on that,
    and then what it hands on does, too.

    What is `remembered`, such as how long a function took, may decide no answer.

    Args:
        shared: What is remembered together with other solvers; at most one object of a class.
    """

    def __init__(self, *shared: object) -> None:
        self._problems = _Problems()
        self._lines: dict[tuple[str, int], _Line[Any]] = {}
        self._remembered: dict[type, Any] = {type(each): each for each in shared}

    def remembered(self, kind: type[_Kind]) -> _Kind:
        """Return the one object of this class, made when first asked for."""
        found: _Kind = self._remembered.setdefault(kind, kind())
        return found

    def begin(self) -> int:
        """Return the number of a problem that begins; pair it with `end`."""
        return self._problems.begin()

    def end(self, number: int) -> None:
        """Note that a problem has ended: nobody waits for a share that it has not opened."""
        self._problems.under_way.pop(number, None)
        for line in self._lines.values():
            line.end(number)

    @asynccontextmanager
    async def join(
        self, key: str, empty: _T, *, number: int, lag: int, account: Account
    ) -> AsyncIterator[Share[_T]]:
        """Open a problem's share; when it is left, however that is, `own` is handed on.

        Args:
            key: Problems with the same key and lag share a sum.
            empty: The sum of none.
            number: The problem's, as `begin` gave it.
            lag: Problems that may be under way at once without seeing each other; at least 1.
            account: Its end ends the wait for earlier problems.

        Raises:
            BackendTimeout: If no earlier problem handed on for `PATIENCE` seconds.
            BudgetExceeded: If the budget ended before they did.
            ConfigError: If the problem has opened a share of this key before, or what it or an
                earlier one hands on cannot be added.
        """
        line: _Line[_T] | None = self._lines.get((key, lag))
        if line is None:
            line = self._lines[key, lag] = _Line(empty, lag, self._problems)
        line.open(number, key)
        share = Share(number, empty, empty)
        try:
            share.before = await line.sum_of(max(0, number - lag + 1), account)
            yield share
        finally:
            line.hand_on(number, share.own)


class _Problems:
    """Which problems have begun, and which of them are under way."""

    def __init__(self) -> None:
        self.begun = 0
        self.under_way: dict[int, None] = {}

    def begin(self) -> int:
        self.under_way[self.begun] = None
        self.begun += 1
        return self.begun - 1

    def is_over(self, number: int) -> bool:
        return number < self.begun and number not in self.under_way

    @property
    def oldest(self) -> int:
        """The first one that is under way, or else the next one to begin."""
        return next(iter(self.under_way), self.begun)


class _Line(Generic[_T]):
    """The problems of one key."""

    def __init__(self, empty: _T, lag: int, problems: _Problems) -> None:
        self._empty, self._lag, self._problems = empty, lag, problems
        self._sums = {0: empty}  # by how many problems they are of
        self._first = self._done = 0
        self._early: dict[int, _T] = {}
        self._opened: set[int] = set()
        self._awaited: dict[int, anyio.Event] = {}
        self._moved, self._fault = -math.inf, (math.inf, "")
        self._advance()

    def open(self, number: int, key: str) -> None:
        """Note that a problem opens its share.

        Raises:
            ConfigError: If it has before.
        """
        if number in self._opened:
            raise ConfigError(
                f"a problem opens one share of a sum, and has opened that of {key!r} before: "
                "give each a key of its own"
            )
        self._opened.add(number)

    def end(self, number: int) -> None:
        self._opened.discard(number)
        self._advance()

    async def sum_of(self, count: int, account: Account) -> _T:
        """Return the sum of what the first problems hand on, once all of them have.

        Raises:
            BackendTimeout, BudgetExceeded, ConfigError: As `Carried.join`.
        """
        began = anyio.current_time()
        while account.ended_by is None and count > self._done:
            left = max(began, self._moved) + PATIENCE - anyio.current_time()
            if left <= 0.0:
                raise BackendTimeout(
                    f"problem {self._done} holds up those after it: it has not ended, nor has any "
                    f"that others wait for, in {PATIENCE:g} seconds; set budget.seconds, or a "
                    "timeout for the calls of its models"
                )
            scope = account.open_scope(left)
            try:
                with scope:
                    await self._awaited.setdefault(count, anyio.Event()).wait()
            finally:
                account.close_scope(scope)
        if account.ended_by is not None:
            raise account.refusal(Spending())
        if count > self._fault[0]:
            raise ConfigError(self._fault[1])
        return self._sums[count]

    def hand_on(self, number: int, own: _T) -> None:
        """Keep a share.

        Raises:
            ConfigError: If it cannot be added; nothing is handed on then.
        """
        try:
            _ = self._empty + own
        except Exception as error:
            own = self._empty
            raise ConfigError(_told(number, error)) from error
        finally:
            self._early[number] = own
            self._advance()

    def _advance(self) -> None:
        """Add up what is there without a gap, wake who waits for it, forget what nobody needs."""
        before = self._done
        while self._done in self._early or self._problems.is_over(self._done):
            total = self._sums[self._done]
            if self._done in self._early:
                total = self._added(total, self._early.pop(self._done))
            self._done += 1
            self._sums[self._done] = total
            if (waiting := self._awaited.pop(self._done, None)) is not None:
                waiting.set()
        if self._done > before:
            self._moved = anyio.current_time()
        needed = min(self._done, self._problems.oldest - self._lag + 1)
        while self._first < needed:
            del self._sums[self._first]
            self._first += 1

    def _added(self, total: _T, own: _T) -> _T:
        try:
            return total + own
        except Exception as error:  # it is told to those that would have seen the sum
            if self._fault[0] == math.inf:
                self._fault = self._done, _told(self._done, error)
            return total


def _told(number: int, error: Exception) -> str:
    return f"what problem {number} hands on cannot be added to the sum ({error!r}): see to its type"
