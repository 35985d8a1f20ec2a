"""Graphs of sleeping nodes on virtual time, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import anyio
from hypothesis import strategies as st

from tts.executed import Executed
from tts.graph import Node, open_graph
from tts.testing import virtual_run


class Shape(NamedTuple):
    """Durations by node, and for each the earlier ones it waits for."""

    durations: Sequence[float]
    after: Sequence[Sequence[int]]


@st.composite
def shapes(draw: st.DrawFn, most: int = 12) -> Shape:
    size = draw(st.integers(1, most))
    durations = draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
    after = [
        sorted(draw(st.sets(st.integers(0, index - 1), max_size=3))) if index else []
        for index in range(size)
    ]
    return Shape(durations, after)


def run(
    shape: Shape,
    slots: int | None,
    *,
    emitted: Sequence[float] | None = None,
    expected: bool = True,
    first: int = 0,
) -> Executed:
    """Run a shape; nodes are added all at once, or at the given times."""

    async def main() -> Executed:
        async with open_graph(slots=slots) as graph:
            for index, seconds in enumerate(shape.durations):
                if emitted is not None:
                    await anyio.sleep_until(emitted[index])

                async def work(results: Mapping[int, Any], seconds: float = seconds) -> float:
                    await anyio.sleep(seconds)
                    return seconds

                graph.add(
                    Node(
                        id=first + index,
                        work=work,
                        after=tuple(first + each for each in shape.after[index]),
                        duration=seconds if expected else 0.0,
                    )
                )
            await graph.settle()
            return graph.executed

    return virtual_run(main)
