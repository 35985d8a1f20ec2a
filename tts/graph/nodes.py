"""The nodes of a graph: what is asked for, and how each one stands.

pending -> ready -> running -> succeeded | failed | timed_out
pending -> skipped             an input failed, and the node accepts no errors
any of the first three -> cancelled
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from tts.executed import State, Step, as_text

__all__ = ["Entry", "Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One task of a graph.

    Attributes:
        id: Its name in the graph; among equals the lower one goes first.
        work: Called with the results of `after` by id when all are there. With `accepts_errors`
            the error stands where a result is missing.
        after: The nodes that it takes results of; each was added before.
        name: What it does; its usual duration is learned under this name.
        text: How it was written, for the record.
        lanes: Named limits under which it runs, beside the graph's slots.
        key: Says, from the results, what makes two nodes the same work: of those under way at
            once only one runs, and the others get its result. None is "like no other".
        is_pure: The same work has the same result, so one that is done answers later ones too.
        accepts_errors: Run it although an input failed.
        timeout: Seconds that one attempt may take; None is no limit.
        attempts: Most times that it is tried; an error whose `retryable` is False is final.
        pause: Seconds before the second attempt; doubled each time. The slot is kept.
        duration: Expected seconds; None takes what was learned under its name.
    """

    id: int
    work: Callable[[Mapping[int, Any]], Awaitable[Any]]
    after: tuple[int, ...] = ()
    name: str = ""
    text: str = ""
    lanes: tuple[str, ...] = ()
    key: Callable[[Mapping[int, Any]], Hashable | None] | None = None
    is_pure: bool = False
    accepts_errors: bool = False
    timeout: float | None = None
    attempts: int = 1
    pause: float = 0.5
    duration: float | None = None


class Entry:
    """How a node of a graph stands.

    Attributes:
        order: Its place among the nodes as they were added.
        waiting: Inputs that are still to come.
        children: Nodes that wait for it.
        followers: Nodes that get its result because they are the same work.
        shown: What its result looked like when it came.
        rank: Seconds from its start to the end of the longest chain that it begins, as expected.
    """

    __slots__ = (
        "attempts",
        "children",
        "done",
        "duration",
        "emitted",
        "error",
        "finished",
        "followers",
        "held",
        "key",
        "node",
        "order",
        "rank",
        "ready",
        "same_as",
        "shown",
        "started",
        "state",
        "value",
        "waiting",
    )

    def __init__(self, node: Node, order: int, duration: float, now: float) -> None:
        self.node, self.order, self.duration = node, order, duration
        self.state: State = "pending"
        self.waiting = self.attempts = 0
        self.children: list[Entry] = []
        self.followers: list[Entry] = []
        self.rank = duration
        self.emitted = now
        self.ready: float | None = None
        self.started: float | None = None
        self.finished: float | None = None
        self.held = 0.0
        self.key: Hashable | None = None
        self.same_as: int | None = None
        self.shown = ""
        self.value: Any = None
        self.error: Exception | None = None
        self.done: anyio.Event | None = None

    @property
    def is_settled(self) -> bool:
        """True if nothing can happen to it any more."""
        return self.finished is not None

    def step(self) -> Step:
        """Return its record."""
        return Step(
            id=self.node.id,
            name=self.node.name,
            text=self.node.text,
            after=self.node.after,
            lanes=self.node.lanes,
            state=self.state,
            emitted=self.emitted,
            ready=self.ready,
            started=self.started,
            finished=self.finished,
            attempts=self.attempts,
            same_as=self.same_as,
            held=self.held,
            result=self.shown,
            error="" if self.error is None else as_text(self.error) or type(self.error).__name__,
        )
