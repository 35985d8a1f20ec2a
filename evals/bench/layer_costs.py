"""What each call layer costs: CPU time a call, around a model that answers at once.

Also how long the cache holds up the event loop: every read and write is timed by itself.

    python -m tts.evals.bench.layer_costs [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from tts import Budget, Completion, Meter, Price, Request, Usage
from tts.backends import Backend, Cache, Capabilities, Hedge, Limits, Retry
from tts.layers import Account, Budgeted, Limited, Retrying, Trace, Traced
from tts.layers.cache import Cached
from tts.layers.hedge import Hedged
from tts.layers.store import Store, open_store
from tts.messages import Message

LINES = 32
PROMPT = (Message(role="user", content="What is 3 + 4?"),)


class _Instant:
    """A model that answers at once, after letting others run."""

    name = "instant"
    capabilities = Capabilities(seed=True, stream=True)
    price = Price(input=1.0, output=1.0)

    def __init__(self) -> None:
        usage = Usage(prompt_tokens=20, completion_tokens=4)
        self._completion = Completion(text="Answer: 7 " * 30, usage=usage, model=self.name)

    def prompt_tokens(self, request: Request) -> int:
        return 20

    async def generate(self, request: Request, meter: Meter) -> Completion:
        await checkpoint()
        meter.hear(self._completion.text)
        return self._completion


def _stacks(store: Store, account: Account) -> dict[str, Callable[[], Backend]]:
    records: list[dict[str, Any]] = []
    quotas = Limits(rpm=10**9, tpm=10**12, concurrency="auto")

    def limited() -> Limited:
        return Limited(_Instant(), 64)

    def cached() -> Cached:
        return Cached(limited(), store, {"backend": "instant"})

    return {
        "limit": limited,
        "limit with quotas": lambda: Limited(_Instant(), 64, quotas),
        "retry": lambda: Retrying(limited(), Retry(), burst=64),
        "hedge": lambda: Hedged(limited(), Hedge()),
        "cache, not found": cached,
        "cache, found": cached,
        "trace": lambda: Traced(limited(), Trace(records.append)),
        "budget": lambda: Budgeted(limited(), account),
    }


async def _seconds(backend: Backend, requests: list[Request]) -> float:
    """Return the CPU time a call, with some in flight at once."""

    async def line(start: int) -> None:
        for request in requests[start::LINES]:
            await backend.generate(request, Meter())

    began = time.process_time()
    async with anyio.create_task_group() as tasks:
        for start in range(LINES):
            tasks.start_soon(line, start)
    return (time.process_time() - began) / len(requests)


async def _costs(calls: int, repeats: int, folder: Path) -> dict[str, float]:
    """Return each layer's own CPU microseconds a call: the median of rounds less what is inside."""
    taken: dict[str, list[float]] = {}
    account = Account(Budget(total_tokens=10**12, calls=10**9, usd=1e9), 0.0)
    for repeat in range(repeats):
        requests = [Request(messages=PROMPT, seed=repeat * calls + n) for n in range(calls)]
        with open_store(Cache(path=folder / "calls.sqlite")) as store:
            stacks = _stacks(store, account)
            bare = await _seconds(_Instant(), requests)
            inside = await _seconds(stacks["limit"](), requests)
            for name, make in stacks.items():
                base = bare if name.startswith("limit") else inside
                base = 0.0 if name == "cache, found" else base  # what is inside is not asked
                cost = await _seconds(make(), requests) - base
                taken.setdefault(name, []).append(1e6 * cost)
    return {name: round(statistics.median(costs), 1) for name, costs in taken.items()}


def _store_times(answers: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return wall microseconds of single reads and writes: all that the event loop waits for."""
    reads, writes = [], []
    with open_store(Cache(path=folder / "times.sqlite")) as store:
        for _ in range(answers):
            key, answer = os.urandom(16), os.urandom(1500)
            began = time.perf_counter()
            store.put(key, answer)
            middle = time.perf_counter()
            store.get(key)
            writes.append(middle - began)
            reads.append(time.perf_counter() - middle)
    return {"read": _spread(reads), "write": _spread(writes)}


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    parts = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        name: round(1e6 * ordered[int(part * len(ordered)) - 1], 1) for name, part in parts.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    calls, repeats = (1_600, 3) if options.quick else (16_000, 7)
    with tempfile.TemporaryDirectory() as folder:
        costs = anyio.run(_costs, calls, repeats, Path(folder))
        store = _store_times(calls, Path(folder))
    if options.json:
        print(json.dumps({"cpu_us": costs, "store_us": store}))
        return
    print("CPU microseconds a call, each layer by itself")
    for name, cost in costs.items():
        print(f"  {name:<20} {cost:>8.1f}")
    print("wall microseconds of the cache's file, 1.5 kB an answer")
    for name, spread in store.items():
        print(f"  {name:<6}", "  ".join(f"{part} {value}" for part, value in spread.items()))


if __name__ == "__main__":
    main()
