"""Runs the nodes of a graph: event-driven, bounded, the longest chain first."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from tts.errors import ConfigError, ToolError
from tts.executed import Executed, State, Step, as_text
from tts.graph.attempts import Rest, attempt
from tts.graph.lanes import Lanes
from tts.graph.nodes import Entry, Node
from tts.graph.ranking import Durations, Ranking
from tts.tasks import task_scope

__all__ = ["TaskGraph", "open_graph"]

_NO_LIMIT = 1 << 30


class TaskGraph:
    """A graph whose nodes run while it is open. Made by `open_graph`."""

    def __init__(
        self,
        tasks: TaskGroup,
        slots: int | None,
        limits: Mapping[str, int],
        durations: Durations,
        on_change: Callable[[Step], None] | None,
        shown: Callable[[Any], str],
        rest: Rest,
    ) -> None:
        self._tasks, self._slots, self._durations = tasks, slots, durations
        self._limits = dict(limits)
        self._on_change, self._shown, self._rest_for = on_change, shown, rest
        self._opened = anyio.current_time()
        self._entries: dict[int, Entry] = {}
        self._parents: dict[int, list[Entry]] = {}
        self._lanes, self._ranking = Lanes(limits), Ranking()
        self._same: dict[Hashable, Entry] = {}
        self._working = self._free = self._unsettled = 0
        self._ending: deque[tuple[Entry, State, Any, Exception | None]] = deque()
        self._is_settling = False
        self._rest = anyio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: int) -> bool:  # noqa: A002  # the node's own word
        return id in self._entries

    @property
    def executed(self) -> Executed:
        """How all nodes stand, as a value."""
        steps = tuple(entry.step() for entry in self._entries.values())
        return Executed(steps=steps, slots=self._slots, limits=self._limits)

    def add(self, node: Node) -> None:
        """Add a node; it starts as soon as its inputs and the slots allow.

        Raises:
            ConfigError: If its id is taken, or it comes before one that it waits for.
        """
        if node.id in self._entries:
            raise ConfigError(f"the id {node.id} is taken: give each node its own")
        unknown = [one for one in node.after if one not in self._entries]
        if unknown:
            raise ConfigError(f"node {node.id} waits for {unknown}: add those before it")
        expected = node.duration
        if expected is None:
            expected = self._durations.expected(node.name)
        entry = Entry(node, len(self._entries), expected, self._now)
        self._entries[node.id] = entry
        if not self._unsettled:
            self._rest = anyio.Event()  # one for all who wait for this end
        self._unsettled += 1
        parents = [self._entries[one] for one in dict.fromkeys(node.after)]
        lost = next((one for one in parents if one.is_settled and one.state != "succeeded"), None)
        open_parents = [parent for parent in parents if not parent.is_settled]
        self._tell(entry)
        if lost is not None and not node.accepts_errors:
            self._settle(entry, "skipped", error=_not_run(node, lost))
            return
        entry.waiting = len(open_parents)
        for parent in open_parents:
            parent.children.append(entry)
        if open_parents:
            self._parents[node.id] = open_parents
            self._ranking.add(entry)
        else:
            self._make_ready(entry)

    async def settle(self) -> None:
        """Wait until every node that was added has come to its end."""
        while self._unsettled:
            await self._rest.wait()

    async def result(self, id: int) -> Any:  # noqa: A002  # the node's own word
        """Wait for a node and return its result.

        Raises:
            ConfigError: If there is no such node.
            Exception: What its work raised; `ToolError` if it took too long or was not run.
        """
        if id not in self._entries:
            raise ConfigError(f"no node {id} in the graph")
        entry = self._entries[id]
        if not entry.is_settled:
            entry.done = entry.done or anyio.Event()
            await entry.done.wait()
        if entry.error is not None:
            raise entry.error
        return entry.value

    def outcome(self, id: int) -> Any:  # noqa: A002  # the node's own word
        """Return a settled node's result, or its error as a value; None if it has neither yet."""
        entry = self._entries[id]
        return entry.error if entry.error is not None else entry.value

    @property
    def _now(self) -> float:
        return anyio.current_time() - self._opened

    def _tell(self, entry: Entry) -> None:
        if self._on_change is not None:
            self._on_change(entry.step())

    def _make_ready(self, entry: Entry) -> None:
        """Queue a node whose inputs exist, or let it share the work of one like it."""
        entry.state, entry.ready = "ready", self._now
        self._parents.pop(entry.node.id, None)
        if entry.node.duration is None:  # by now more may be known than when it was added
            expected = self._durations.expected(entry.node.name)
            entry.rank, entry.duration = entry.rank - entry.duration + expected, expected
        try:
            entry.key = None if entry.node.key is None else entry.node.key(self._inputs(entry))
        except Exception as error:  # what a result is must not cost the graph
            self._settle(entry, "failed", error=error)
            return
        if entry.key is not None:
            other = self._same.setdefault(entry.key, entry)
            if other is not entry:
                entry.same_as = other.node.id
                if other.is_settled:
                    entry.started = entry.ready
                    self._settle(entry, other.state, other.value, other.error)
                else:
                    other.followers.append(entry)
                    self._lend(entry, other)
                return
        self._lanes.push(entry)
        self._staff()

    def _lend(self, follower: Entry, leader: Entry) -> None:
        """Let a node that does the work of another go as early as that one would."""
        rank = follower.rank - follower.duration + leader.duration
        if leader.state == "ready" and rank > leader.rank:
            leader.rank = rank
            self._lanes.push(leader)

    def _inputs(self, entry: Entry) -> dict[int, Any]:
        return {one: self.outcome(one) for one in entry.node.after}

    def _staff(self) -> None:
        """Start workers for what could be taken, beside those that are about to look."""
        most = self._slots or _NO_LIMIT
        while self._working < most and self._free < self._lanes.available:
            self._working += 1
            self._free += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        """Run node after node: a task a node would cost more than most nodes."""
        while True:
            # All that ends at this moment ends before anybody chooses, whichever task is first.
            await anyio.lowlevel.checkpoint()
            entry = self._take()
            if entry is None:
                self._working -= 1
                self._free -= 1
                return
            self._free -= 1
            self._staff()
            state, value, error = await attempt(entry, self._inputs(entry), self._rest_for)
            self._free += 1
            self._lanes.leave(entry)
            if state == "succeeded":
                started = entry.started or 0.0
                self._durations.observe(entry.node.name, self._now - started)
            self._settle(entry, state, value, error)

    def _take(self) -> Entry | None:
        for raised in self._ranking.update(self._parents):
            if raised.same_as is None:
                self._lanes.push(raised)
            else:  # one that shares another's work is not run itself
                self._lend(raised, self._entries[raised.same_as])
        entry = self._lanes.pop()
        if entry is not None:
            entry.state, entry.started = "running", self._now
            self._tell(entry)
        return entry

    def _settle(
        self, entry: Entry, state: State, value: Any = None, error: Exception | None = None
    ) -> None:
        """Bring a node to its end, and with it all that this decides."""
        self._ending.append((entry, state, value, error))
        if self._is_settling:  # not by recursion: chains are long
            return
        self._is_settling = True
        try:
            while self._ending:
                self._end(*self._ending.popleft())
        finally:
            self._is_settling = False
        if not self._unsettled:
            self._rest.set()

    def _end(self, entry: Entry, state: State, value: Any, error: Exception | None) -> None:
        entry.state, entry.value, entry.error = state, value, error
        entry.finished = self._now
        if state == "succeeded":  # as it is now, whatever others do to it
            leader = None if entry.same_as is None else self._entries[entry.same_as]
            entry.shown = self._shown(value) if leader is None else leader.shown
        self._parents.pop(entry.node.id, None)
        keeps = entry.node.is_pure and state == "succeeded"
        if entry.key is not None and not keeps and self._same.get(entry.key) is entry:
            del self._same[entry.key]
        self._unsettled -= 1
        if entry.done is not None:
            entry.done.set()
        self._tell(entry)
        for follower in entry.followers:
            follower.started = max(follower.ready or 0.0, entry.started or 0.0)
            self._settle(follower, state, value, error)
        for child in entry.children:
            self._hear(child, entry)

    def _hear(self, child: Entry, parent: Entry) -> None:
        """Let a node know that one of its inputs has come to its end."""
        child.waiting -= 1
        if child.state != "pending":
            return
        if parent.state != "succeeded" and not child.node.accepts_errors:
            child.state = "skipped"
            self._settle(child, "skipped", error=_not_run(child.node, parent))
        elif child.waiting == 0:
            self._make_ready(child)

    def _abandon(self) -> None:
        """Mark what was cut off when the scope was left."""
        for entry in self._entries.values():
            if not entry.is_settled:
                entry.state, entry.finished = "cancelled", self._now
                entry.error = ToolError(entry.node.name or str(entry.node.id), "cancelled")
                if entry.done is not None:
                    entry.done.set()
                self._tell(entry)


def _not_run(node: Node, lost: Entry) -> ToolError:
    return ToolError(
        node.name or str(node.id), f"not run, since {lost.node.id} {lost.state.replace('_', ' ')}"
    )


@asynccontextmanager
async def open_graph(
    *,
    slots: int | None = 64,
    limits: Mapping[str, int] | None = None,
    durations: Durations | None = None,
    on_change: Callable[[Step], None] | None = None,
    shown: Callable[[Any], str] = as_text,
    rest: Rest = anyio.sleep,
) -> AsyncIterator[TaskGraph]:
    """Open a graph. Leaving the block cancels what still runs; call `settle` to wait for it.

    Args:
        slots: Most nodes that run at once; None is no limit.
        limits: Most nodes that run at once in a lane, by its name.
        durations: What nodes of a name usually take; give the same object to several graphs and
            it learns from all.
        on_change: Called each time a node's state changes.
        shown: What a result looks like in the record.
        rest: Waits for so many seconds before another attempt; a `BudgetExceeded` ends the node.

    Raises:
        ConfigError: If a limit is less than 1.
    """
    for name, limit in {"slots": slots or (1 if slots is None else 0), **(limits or {})}.items():
        if limit < 1:
            raise ConfigError(f"{name}: at least 1, got {limit}")
    async with task_scope() as tasks:
        graph = TaskGraph(
            tasks, slots, limits or {}, durations or Durations(), on_change, shown, rest
        )
        try:
            yield graph
        finally:
            graph._abandon()
