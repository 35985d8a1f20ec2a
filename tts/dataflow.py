"""Work of a run that depends on other work: each piece starts the moment its inputs exist.

As `run.map`, each piece has a span of its own, so that seeds follow from its place and never from
timing. Its clock starts where the last of its inputs ended: the critical path is that of the graph.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from tts.spans import Span

if TYPE_CHECKING:  # `import tts` does without it
    from tts.graph import Node

__all__ = ["flow"]

_R = TypeVar("_R")
_Work: TypeAlias = Callable[[int, Mapping[int, _R | None]], Awaitable[_R]]


async def flow(
    run: Any,  # a Run, which stands above: this is a method of it
    work: _Work[_R],
    needs: Sequence[Sequence[int]],
    *,
    names: Sequence[str] = (),
    concurrency: int = 64,
) -> list[_R | None]:
    """Do pieces of work that need each other's results; all that can run at once does.

    Args:
        run: Gives each piece its span.
        work: Does the piece at a place, given the results of those it needs by place. It asks
            the run whatever it likes.
        needs: For each piece the places of those it needs, each before its own.
        names: What each piece is called in the trace.
        concurrency: Most pieces under way at once.

    Returns:
        The results in the order of `needs`; None where a call failed, or the budget did not
        allow it. What needs such a piece is done all the same, and is given None for it.

    Raises:
        ConfigError: If a piece needs one that does not stand before it.
    """
    from tts.graph import open_graph  # `import tts` does without it

    parent, start = run._line, run.now
    path, before = parent.name_fork("flow"), parent.clock
    pieces = _Pieces(run, work, needs, path)
    try:
        async with open_graph(slots=max(1, concurrency)) as graph:
            for at in range(len(needs)):
                graph.add(pieces.node(at, names[at] if at < len(names) else ""))
            await graph.settle()
    finally:
        for span in pieces.spans.values():
            parent.join(span.clock)
        run._write_span(path, start, parent.clock.since(before))
    run.record("graph", opened=start, **graph.executed.report())
    for at in range(len(needs)):
        error = graph.outcome(at)
        if isinstance(error, Exception):  # no call's failure, but a bug of the work
            raise error
    return pieces.results


class _Pieces(Generic[_R]):
    """The pieces of a flow as nodes of a graph.

    Attributes:
        results: In the order of the pieces.
        spans: Those of the pieces that have begun.
    """

    def __init__(
        self, run: Any, work: _Work[_R], needs: Sequence[Sequence[int]], path: str
    ) -> None:
        self._run, self._work, self._needs, self._path = run, work, needs, path
        self._parent: Span = run._line
        self.results: list[_R | None] = [None] * len(needs)
        self.spans: dict[int, Span] = {}

    def node(self, at: int, text: str) -> Node:
        """Return the piece at a place as a node."""
        from tts.graph import Node  # `import tts` does without it

        after = tuple(self._needs[at])
        return Node(id=at, work=partial(self._do, at), after=after, text=text, accepts_errors=True)

    async def _do(self, at: int, inputs: Mapping[int, Any]) -> None:
        span = self.spans[at] = self._parent.fork(f"{self._path}/{at}")
        for need in self._needs[at]:
            span.join(self.spans[need].clock)
        found = {need: self.results[need] for need in self._needs[at]}
        self.results[at] = await self._run._within(span, partial(self._work, at, found), "skip")
