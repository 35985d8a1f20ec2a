"""What a call over HTTP costs the client: CPU time against a loopback server in another process.

    python -m tts.evals.bench.http_overhead [--json] [--quick]

`tts` is the whole path of `run.generate`: budget, trace, limit, JSON, ledger. Beside it stand its
own wire, raw aiohttp, raw httpx and, where they are installed, openai, litellm and its_hub (with
`backoff`; litellm wants LITELLM_LOCAL_MODEL_COST_MAP=True, lest it look for a network). Also: how
many of 200 cancelled calls the server saw aborted, and how long after.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import httpx
from pydantic import Field

from tts import Budget, Pipeline, Problem, Request, Solution, Trace
from tts.backends import Meter
from tts.backends.openai import OpenAI
from tts.evals.bench.loopback import loopback
from tts.layers import Record
from tts.messages import Message
from tts.run import Run
from tts.solver import open_solver
from tts.strategy import Strategy

PROMPT = "There are 3 boxes with 4 apples each. 5 apples are eaten. How many are left? " * 4
CANCELLED = 200
Ask = Callable[[str], Coroutine[Any, Any, object]]
"""Asks a model by name and drops its answer."""


def _payload(model: str) -> dict[str, Any]:
    message = {"role": "user", "content": PROMPT}
    return {"model": model, "messages": [message], "temperature": 0.8, "max_tokens": 256, "seed": 5}


@asynccontextmanager
async def raw_aiohttp(url: str) -> AsyncIterator[Ask]:
    """Post JSON, read JSON."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(model: str) -> object:
            async with session.post(f"{url}/v1/chat/completions", json=_payload(model)) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        yield ask


@asynccontextmanager
async def raw_httpx(url: str) -> AsyncIterator[Ask]:
    """Post JSON, read JSON."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:

        async def ask(model: str) -> object:
            response = await client.post(f"{url}/v1/chat/completions", json=_payload(model))
            return response.json()["choices"][0]["message"]["content"]

        yield ask


@asynccontextmanager
async def tts_backend(url: str) -> AsyncIterator[Ask]:
    """The backend alone, without run and layers."""
    async with AsyncExitStack() as stack:
        backends = {}
        for model in ("fast", "silent"):
            provider = OpenAI(base_url=f"{url}/v1", model=model, server="vllm")
            backends[model] = await stack.enter_async_context(provider.open())
        request = Request(messages=(Message(role="user", content=PROMPT),), seed=5, max_tokens=256)

        async def ask(model: str) -> object:
            return await backends[model].generate(request, Meter())

        yield ask


class _Lines(Strategy, name="lines"):
    """Lets a function use the run; how a benchmark gets hold of one."""

    work: Callable[[Run], Awaitable[None]] = Field(exclude=True)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        await self.work(run)
        return Solution(answer=None)


async def _through_run(url: str, model: str, work: Callable[[Run], Awaitable[None]]) -> None:
    """Call a function with a run of a pipeline that keeps every account there is."""
    provider = OpenAI(base_url=f"{url}/v1", model=model, server="vllm", concurrency=1024)
    pipeline = Pipeline(
        models={"m": provider},
        strategy=_Lines(work=work),
        budget=Budget(total_tokens=10**10, calls=10**8, seconds=36_000),
    )
    records: list[Record] = []
    async with open_solver(pipeline) as solver:
        await solver.solve(pipeline.problem("q"), trace=Trace(records.append))


@asynccontextmanager
async def openai_client(url: str) -> AsyncIterator[Ask]:
    """The official client."""
    openai = importlib.import_module("openai")
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:

        async def ask(model: str) -> object:
            answer = await client.chat.completions.create(**_payload(model))
            return answer.choices[0].message.content

        yield ask


@asynccontextmanager
async def litellm_client(url: str) -> AsyncIterator[Ask]:
    """LiteLLM's function."""
    litellm = importlib.import_module("litellm")

    async def ask(model: str) -> object:
        fields = _payload(model) | {"model": f"openai/{model}"}
        answer = await litellm.acompletion(**fields, api_base=f"{url}/v1", api_key="x")
        return answer.choices[0].message.content

    yield ask


@asynccontextmanager
async def its_hub_orchestrator(url: str) -> AsyncIterator[Ask]:
    """its_hub's orchestrator over its client."""
    core = importlib.import_module("its_hub.core.orchestrator")
    lms = importlib.import_module("its_hub.core.lms.openai_lm")
    types = importlib.import_module("its_hub.api.types")
    orchestrator = core.LMOrchestrator(max_concurrency=1024)
    models = {
        name: lms.OpenAICompatibleLanguageModel(f"{url}/v1", "x", name, max_tries=1)
        for name in ("fast", "silent")
    }
    message = types.ChatMessage(role="user", content=PROMPT)

    async def ask(model: str) -> object:
        fields = {"temperature": 0.8, "max_completion_tokens": 256}
        return (await orchestrator.agenerate(models[model], [[message]], **fields))[0]["content"]

    yield ask
    for model in models.values():
        await model.close()


CLIENTS = {
    "tts backend alone": tts_backend,
    "raw aiohttp": raw_aiohttp,
    "raw httpx": raw_httpx,
    "openai": openai_client,
    "litellm": litellm_client,
    "its_hub orchestrator": its_hub_orchestrator,
}


async def _spent(ask: Ask, lines: int, calls: int) -> float:
    """Return the CPU seconds a call of so many parallel lines of calls."""

    async def line() -> None:
        for _ in range(calls // lines):
            await ask("fast")

    began = time.process_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(lines):
            tasks.start_soon(line)
    return (time.process_time() - began) / (calls // lines * lines)


async def _run_spent(url: str, lines: int, calls: int, repeats: int) -> list[float]:
    spent: list[float] = []

    async def work(run: Run) -> None:
        message = (Message(role="user", content=PROMPT),)

        async def line(_: int) -> None:
            for _ in range(calls // lines):
                await run.generate(message, max_tokens=256)

        for _ in range(repeats):
            began = time.process_time()
            await run.map(line, range(lines), concurrency=lines)
            spent.append((time.process_time() - began) / (calls // lines * lines))

    await _through_run(url, "fast", work)
    return spent


async def _aborts(url: str, ask: Ask) -> dict[str, float]:
    """Cancel calls that wait for a silent server; return what the server saw of it."""
    async with httpx.AsyncClient() as client:
        before = len((await client.get(f"{url}/aborted")).json())
        async with anyio.create_task_group() as tasks:
            for _ in range(CANCELLED):
                tasks.start_soon(ask, "silent")
            await anyio.sleep(1.0)
            cancelled = time.monotonic()
            tasks.cancel_scope.cancel()
        await anyio.sleep(1.0)
        seen = (await client.get(f"{url}/aborted")).json()[before:]
    return {"aborts": len(seen), "slowest_ms": round(1e3 * (max(seen, default=0) - cancelled), 1)}


async def _run_aborts(url: str) -> dict[str, float]:
    found: dict[str, float] = {}

    async def work(run: Run) -> None:
        async def ask(model: str) -> object:
            return await run.generate(PROMPT)

        found.update(await _aborts(url, ask))

    await _through_run(url, "silent", work)
    return found


async def _measure(url: str, quick: bool) -> list[dict[str, Any]]:
    calls, repeats = (2_000, 2) if quick else (16_000, 5)
    rows = []
    run: dict[str, Any] = {"client": "tts, run.generate"}
    for lines in (32, 128):
        spent = await _run_spent(url, lines, calls, repeats)
        run[f"us_{lines}"] = round(1e6 * statistics.median(spent), 1)
    rows.append(run | await _run_aborts(url))
    for name, client in CLIENTS.items():
        try:
            async with client(url) as ask:
                rows.append({"client": name} | await _row(url, ask, name, calls, repeats))
        except ImportError:
            continue  # a peer that is not installed
    return rows


async def _row(url: str, ask: Ask, name: str, calls: int, repeats: int) -> dict[str, Any]:
    slow = name not in {
        "tts backend alone",
        "raw aiohttp",
    }  # milliseconds a call: fewer tell enough
    row: dict[str, Any] = {}
    for lines in (32, 128):
        spent = [await _spent(ask, lines, calls // 8 if slow else calls) for _ in range(repeats)]
        row[f"us_{lines}"] = round(1e6 * statistics.median(spent), 1)
    return row | await _aborts(url, ask)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with loopback() as url:
        rows = anyio.run(_measure, url, options.quick)
    if options.json:
        print(json.dumps(rows))
        return
    raw = next(row for row in rows if row["client"] == "raw aiohttp")
    print(f"{'CPU us a call, in flight:':<26}{'32':>8}{'128':>8}{'x raw':>14}   aborts, slowest")
    for row in rows:
        times = "  ".join(f"{row[f'us_{lines}'] / raw[f'us_{lines}']:.2f}" for lines in (32, 128))
        seen = f"{row['aborts']:.0f} of {CANCELLED}, {row['slowest_ms']} ms"
        print(f"{row['client']:<26}{row['us_32']:>8}{row['us_128']:>8}{times:>14}   {seen}")


if __name__ == "__main__":
    main()
