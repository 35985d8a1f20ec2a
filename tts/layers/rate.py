"""Quotas: what may be sent now, when more may be, and what may be sent once more.

Pure arithmetic: the caller says what time it is.
"""

from __future__ import annotations

import math

from tts.backends.base import RateInfo
from tts.backends.policy import Limits

__all__ = ["Allowance", "Bucket", "Quota"]

_DUST = 1e-9  # a sum of refills is not exact, and nobody shall wait for the last bit of it


class Bucket:
    """A level that rises steadily and is taken from.

    It holds a part of a minute's quota, never the whole: a full minute at once, and another over
    the following minute, would be twice what the provider allows. An amount larger than the
    bucket waits until it is full and leaves a debt, so that it cannot wait for ever.

    Args:
        per_minute: How much flows in.
        size: How much it holds; it starts full.
    """

    __slots__ = ("_at", "level", "rate", "size")

    def __init__(self, per_minute: float, size: float) -> None:
        self.rate = per_minute / 60.0
        self.size = self.level = size
        self._at = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until an amount may be taken; 0 if it may be taken now."""
        self._rise(now)
        lack = min(amount, self.size) - self.level
        return lack / self.rate if lack > _DUST * self.size else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take an amount, whether it is there or not."""
        self._rise(now)
        self.level -= amount

    def give_back(self, amount: float) -> None:
        """Put back what was taken and not used; a negative amount takes more."""
        self.level = min(self.size, self.level + amount)

    def lower(self, level: float) -> None:
        """Believe a provider that says less is left."""
        self.level = min(self.level, level)

    def _rise(self, now: float) -> None:
        if now > self._at:
            self.level = min(self.size, self.level + (now - self._at) * self.rate)
            self._at = now


class Quota:
    """Requests and tokens a minute, taken together or not at all."""

    def __init__(self, limits: Limits) -> None:
        self.requests = _bucket(limits.rpm, limits.burst)
        self.tokens = _bucket(limits.tpm, limits.burst)

    def wait(self, tokens: int, now: float) -> float:
        """Return the seconds until a call of so many tokens may go; 0 if it may go now."""
        requests = self.requests.wait(1, now) if self.requests else 0.0
        return max(requests, self.tokens.wait(tokens, now)) if self.tokens else requests

    def take(self, tokens: int, now: float) -> None:
        """Take one request and so many tokens."""
        if self.requests:
            self.requests.take(1, now)
        if self.tokens:
            self.tokens.take(tokens, now)

    def settle(self, reserved: int, used: int) -> None:
        """Give back the tokens that a call did not use; its request is spent in any case."""
        if self.tokens:
            self.tokens.give_back(reserved - used)

    def cancel(self, tokens: int) -> None:
        """Give everything back: the call never left."""
        self.settle(tokens, 0)
        if self.requests:
            self.requests.give_back(1)

    def heed(self, rates: RateInfo) -> None:
        """Believe a provider that says less is left than we think."""
        if self.requests and rates.requests is not None:
            self.requests.lower(rates.requests)
        if self.tokens and rates.tokens is not None:
            self.tokens.lower(rates.tokens)


class Allowance:
    """How many calls may be sent once more: a part of all calls.

    Args:
        part: How much of one each call earns.
        most: The most that can be saved up.
        left: How many are allowed before anything was earned.
    """

    __slots__ = ("left", "most", "part")

    def __init__(self, part: float, *, most: float, left: float = 0.0) -> None:
        self.part, self.most, self.left = part, most, left

    def earn(self) -> None:
        """Count a call."""
        self.left = min(self.most, self.left + self.part)

    def spend(self) -> bool:
        """Take one, if there is one."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


def _bucket(per_minute: int | None, burst: float) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, max(1.0, per_minute * burst))
