"""Several models behind one server: is a window that they share worth having?

    python -m tts.evals.bench.shared_server [--json] [--quick]

In virtual time. A server bears so many calls at once and refuses the others with 429; three models
(names) lead to it, each with a backlog. Compared are: `concurrency: auto` of each model by itself;
one adaptive window around all of them, as a pipeline-wide `auto` would be; and a fixed number of
permits for all, at, below and above what the server bears. `used` is the part of what the server
bears that was used, `refused` the part of attempts that it refused, `evenness` the answers of the
model that got fewest over those of the one that got most.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import anyio

from tts import BackendError, Completion, Meter, RateLimited, Request, Usage
from tts.backends import Backend, Capabilities, Limits, Retry
from tts.layers import Limited, Permits, Retrying
from tts.messages import Message
from tts.testing import virtual_run

MODELS = 3
LINES = 40
"""Callers of each model, each with one call after the other."""
WARM_UP = 30.0
"""Seconds that are not counted."""


class _Server:
    """Bears so many calls at once; each takes about a second."""

    def __init__(self, bears: int, dice: Random) -> None:
        self.bears, self.dice = bears, dice
        self.active = 0
        self.counted = Counter[str]()
        self.counts_from = WARM_UP

    def count(self, what: str, amount: float = 1) -> None:
        if anyio.current_time() >= self.counts_from:
            self.counted[what] += amount  # type: ignore[assignment]  # seconds are counted too


class _Model:
    """A name that leads to the server."""

    capabilities = Capabilities(seed=True)
    price = None

    def __init__(self, server: _Server, name: str) -> None:
        self.server, self.name = server, name

    def prompt_tokens(self, request: Request) -> int:
        return 1

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer after a while.

        Raises:
            RateLimited: If the server has enough to do.
        """
        server = self.server
        await anyio.sleep(0.02)
        if server.active >= server.bears:
            server.count("refused")
            raise RateLimited("busy")
        server.active += 1
        lasts = server.dice.uniform(0.5, 1.5)
        try:
            await anyio.sleep(lasts)
        finally:
            server.active -= 1
        server.count("answered")
        server.count("seconds", lasts)
        server.count(self.name)
        return Completion(text="a", usage=Usage(), model=self.name)


class _Router:
    """All models behind one layer; the request's role says which is meant."""

    name, price = "router", None
    capabilities = Capabilities(seed=True)

    def __init__(self, models: list[_Model]) -> None:
        self.models = {model.name: model for model in models}

    def prompt_tokens(self, request: Request) -> int:
        return 1

    async def generate(self, request: Request, meter: Meter) -> Completion:
        return await self.models[request.role].generate(request, meter)


def _each(models: list[_Model]) -> list[Backend]:
    return [Limited(model, 64, Limits(concurrency="auto")) for model in models]


def _one(models: list[_Model]) -> list[Backend]:
    around_all = Limited(_Router(models), 64 * MODELS, Limits(concurrency="auto"))
    return [around_all] * MODELS


def _fixed(permits: int) -> Callable[[list[_Model]], list[Backend]]:
    def fixed(models: list[_Model]) -> list[Backend]:
        shared = Permits(permits)
        return [Limited(model, 64, shared=shared) for model in models]

    return fixed


async def _run(bears: int, layers: Callable[[list[_Model]], list[Backend]], ends: float) -> Any:
    server = _Server(bears, Random(bears))
    models = [_Model(server, f"m{index}") for index in range(MODELS)]
    tops = [Retrying(layer, Retry(attempts=9, budget=1.0), burst=64) for layer in layers(models)]

    async def line(top: Backend, name: str, number: int) -> None:
        message = (Message(role="user", content="q"),)
        for ticket in range(10**9):
            request = Request(messages=message, role=name, span=str(number), ticket=ticket, seed=1)
            try:
                await top.generate(request, Meter())
            except BackendError:
                server.count("failed")

    with anyio.move_on_after(ends):
        async with anyio.create_task_group() as tasks:
            for top, model in zip(tops, models, strict=True):
                for number in range(LINES):
                    tasks.start_soon(line, top, model.name, number)
    counted = server.counted
    answers = [counted[model.name] for model in models]
    return {
        "used": round(counted["seconds"] / (bears * (ends - WARM_UP)), 3),
        "refused": round(counted["refused"] / max(1, counted["refused"] + counted["answered"]), 3),
        "failed": counted["failed"],
        "evenness": round(min(answers) / max(1, *answers), 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    ends = WARM_UP + (60.0 if options.quick else 300.0)
    rows = []
    for bears in (8, 24, 60):
        ways: dict[str, Callable[[list[_Model]], list[Backend]]]
        ways = {"auto, each model": _each, "auto, one window": _one}
        ways |= {f"{n} permits": _fixed(n) for n in (bears // 2, bears, bears * 2)}
        for name, layers in ways.items():
            figures = virtual_run(lambda layers=layers, bears=bears: _run(bears, layers, ends))  # type: ignore[misc]  # bound per turn of the loop
            rows.append({"bears": bears, "way": name, **figures})
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'bears':>5}  {'way':<18}{'used':>8}{'refused':>9}{'failed':>8}{'evenness':>10}")
    for row in rows:
        print(
            f"{row['bears']:>5}  {row['way']:<18}{row['used']:>8}{row['refused']:>9}"
            f"{row['failed']:>8}{row['evenness']:>10}"
        )


if __name__ == "__main__":
    main()
