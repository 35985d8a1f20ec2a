"""How many draws of one prompt go to a model in one request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tts.backends.base import Backend

__all__ = ["Groups"]


class Groups:
    """Cuts the tickets of a sample into groups that are drawn in one request each.

    Groups begin at multiples of `most`, a power of two: when a server turns out to take fewer and
    `most` is halved, whole groups stay what they would have been had it been known from the start.

    Args:
        backend: Draws several in one request if it has the ability `n`.
        concurrency: Most completions that it may work on at once.

    Attributes:
        most: Most draws in one request; 1 draws each by itself.
    """

    MOST: Final = 64
    """A longer request would be lost as a whole, and no rule is that far-sighted."""

    def __init__(self, backend: Backend, concurrency: int) -> None:
        self.most = _power_of_two(min(self.MOST, concurrency)) if backend.capabilities.n else 1

    def cut(self, tickets: range) -> Iterator[range]:
        """Cut consecutive tickets into groups.

        >>> from tts.testing import ScriptedBackend
        >>> from tts.backends import Capabilities
        >>> groups = Groups(ScriptedBackend([], capabilities=Capabilities(n=True)), concurrency=4)
        >>> list(groups.cut(range(3, 9)))
        [range(3, 4), range(4, 8), range(8, 9)]
        """
        start = tickets.start
        while start < tickets.stop:
            end = min(tickets.stop, (start // self.most + 1) * self.most)
            yield range(start, end)
            start = end

    def refuse(self, size: int) -> None:
        """Learn that the server does not draw so many in one request."""
        self.most = min(self.most, _power_of_two(size - 1))


def _power_of_two(number: int) -> int:
    """Return the largest power of two that is not larger; 1 at least."""
    return 1 << max(0, number.bit_length() - 1)
