"""The work of `dag` on its_hub's orchestrator; needs `pip install its_hub backoff`, no extra.

`LMOrchestrator.agenerate` takes a batch of conversations that know nothing of one another, and
returns when all are answered: there is no dependency in it. So a fan-out can be compared as it is,
and a graph only layer by layer, a batch each, which is what its interface leaves to a caller.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

import anyio

from tts.testing import virtual_run

__all__ = ["fan_out_seconds", "layered_seconds"]


class _Sleeper:
    """A model that takes as long as its prompt says."""

    async def agenerate_single(self, messages: Any, **options: Any) -> dict[str, str]:
        seconds = float(messages[0])
        if seconds:
            await anyio.sleep(seconds)
        return {"role": "assistant", "content": "done"}


def fan_out_seconds(nodes: int, repeats: int) -> float:
    """Return the processor seconds of a fan-out over idle nodes, the median of repeats."""
    from its_hub.core.orchestrator import LMOrchestrator

    orchestrator: Any = LMOrchestrator(max_concurrency=-1)  # its own slots cost a thread each

    async def once() -> float:
        began = time.process_time()
        await orchestrator.agenerate(_Sleeper(), [["0"]] * nodes)
        return time.process_time() - began

    return statistics.median(asyncio.run(once()) for _ in range(repeats))


def layered_seconds(durations: Sequence[float], after: Sequence[Sequence[int]]) -> float:
    """Return the makespan of a graph, a batch a layer, with a slot for every node; virtual time."""
    from its_hub.core.orchestrator import LMOrchestrator

    orchestrator: Any = LMOrchestrator(max_concurrency=-1)
    depth: list[int] = []
    for needs in after:
        depth.append(1 + max((depth[need] for need in needs), default=-1))

    async def main() -> float:
        for layer in range(max(depth) + 1):
            batch = [[str(each)] for each, at in zip(durations, depth, strict=True) if at == layer]
            await orchestrator.agenerate(_Sleeper(), batch)
        return anyio.current_time()

    return virtual_run(main)
