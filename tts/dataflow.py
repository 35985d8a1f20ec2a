"""Work of a run that depends on other work: each piece starts the moment its inputs exist.

As `run.map`, each piece has a span of its own, so that seeds follow from its place and never from
timing. Its clock starts where the last of its inputs ended: the critical path is that of the graph.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tts.graph import Node, open_graph
from tts.spans import Span

__all__ = ["flow"]

_R = TypeVar("_R")


async def flow(
    run: Any,  # a Run, which stands above: this is a method of it
    work: Callable[[int, Mapping[int, _R | None]], Awaitable[_R]],
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
    parent, results = run._line, list[_R | None]([None] * len(needs))
    path = parent.name_fork("flow")
    ends: dict[int, Span] = {}

    def node(at: int) -> Node:
        async def done(inputs: Mapping[int, Any]) -> None:
            span = ends[at] = parent.fork(f"{path}/{at}")
            for need in needs[at]:
                span.join(ends[need].clock)
            results[at] = await run._within(span, lambda: work(at, _given(results, at)), "skip")

        text = names[at] if at < len(names) else ""
        return Node(id=at, work=done, after=tuple(needs[at]), text=text, accepts_errors=True)

    def _given(found: Sequence[_R | None], at: int) -> dict[int, _R | None]:
        return {need: found[need] for need in needs[at]}

    start, before = run.now, parent.clock
    try:
        async with open_graph(slots=max(1, concurrency)) as graph:
            for at in range(len(needs)):
                graph.add(node(at))
            await graph.settle()
    finally:
        for span in ends.values():
            parent.join(span.clock)
        run._write_span(path, start, parent.clock.since(before))
    run.record("graph", opened=start, **graph.executed.report())
    for at in range(len(needs)):
        error = graph.outcome(at)
        if isinstance(error, Exception):  # no call's failure, but a bug of the work
            raise error
    return results
