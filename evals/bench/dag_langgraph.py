"""The fan-out of `dag` on LangGraph's `Send`; needs `pip install langgraph`, which is no extra."""

from __future__ import annotations

import asyncio
import operator
import statistics
import time
from typing import Annotated, Any, TypedDict

__all__ = ["fan_out_seconds"]


class _State(TypedDict):
    done: Annotated[list[int], operator.add]


def fan_out_seconds(nodes: int, repeats: int) -> float:
    """Return the processor seconds of a fan-out over idle nodes, the median of repeats."""
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    async def idle(state: Any) -> dict[str, list[int]]:
        return {"done": [state["number"]]}

    graph = StateGraph(_State)
    graph.add_node("idle", idle)
    graph.add_conditional_edges(
        START, lambda state: [Send("idle", {"number": number}) for number in range(nodes)]
    )
    graph.add_edge("idle", END)
    compiled = graph.compile()

    async def once() -> float:
        began = time.process_time()
        await compiled.ainvoke({"done": []})
        return time.process_time() - began

    return statistics.median(asyncio.run(once()) for _ in range(repeats))
