"""Where in a run the current task stands: its path, its clock, its seeds.

A span is a straight line of calls. The run opens one for each piece of concurrent work and joins
the clocks when the result is consumed; everything else follows from the path, never from timing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from hashlib import blake2b
from random import Random

from tts.ledger import Clock, Ledger

__all__ = ["Span", "current", "seed_of", "standing"]


def seed_of(seed: int, path: str, ticket: int) -> int:
    """Return a call's seed, in [0, 2**31): a function of the run's seed, the span and the ticket.

    >>> seed_of(0, "run/sample0", 3) == seed_of(0, "run/sample0", 3) != seed_of(0, "run/sample0", 4)
    True
    """
    digest = _place(seed, path).copy()
    digest.update(b"%d" % ticket)
    return int.from_bytes(digest.digest(), "big") >> 1


@lru_cache(maxsize=1024)  # the calls of a span, or of a sample, differ in their tickets only
def _place(seed: int, path: str) -> blake2b:
    return blake2b(f"{seed}|{path}|".encode(), digest_size=4)


class Span:
    """One line of calls in a run."""

    def __init__(self, path: str, seed: int, ledger: Ledger, parent: Span | None = None) -> None:
        self.path = path
        self.seed = seed
        self.ledger = ledger
        self.clock: Clock = parent.clock if parent else Clock()
        """The longest chain of calls up to now."""
        self.root: Span = parent.root if parent else self
        self.priority: int = parent.priority if parent else 0
        """Of calls made here that do not say; work that starts here inherits it."""
        self._tickets = 0
        self._forks: dict[str, int] = {}

    def take_ticket(self) -> int:
        """Return the next place in submission order."""
        ticket = self._tickets
        self._tickets += 1
        return ticket

    def name_fork(self, kind: str) -> str:
        """Return a path for a piece of work that starts here; the n-th of its kind is n - 1."""
        index = self._forks.get(kind, 0)
        self._forks[kind] = index + 1
        return f"{self.path}/{kind}{index}"

    def fork(self, path: str, ledger: Ledger | None = None) -> Span:
        """Return a span that starts at this one's time."""
        return Span(path, self.seed, ledger or self.ledger, self)

    def join(self, clock: Clock) -> None:
        """Consume a result that was ready at that time."""
        self.clock = self.clock.join(clock)

    @contextmanager
    def prioritised(self, priority: int) -> Iterator[None]:
        """Give calls and forks that are made in the block this priority."""
        before, self.priority = self.priority, priority
        try:
            yield
        finally:
            self.priority = before

    @cached_property
    def rng(self) -> Random:
        """A generator of this span's own: the same in every replay."""
        return Random(seed_of(self.seed, self.path, -1))


_here: ContextVar[Span | None] = ContextVar("span", default=None)


def current(own: Span) -> Span:
    """Return the span where the present task stands; where that is another solve's, the own one."""
    here = _here.get()
    return here if here is not None and here.root is own.root else own


@contextmanager
def standing(span: Span) -> Iterator[None]:
    """Let the task, and what starts in it, stand there in this block."""
    token = _here.set(span)
    try:
        yield
    finally:
        _here.reset(token)
