"""Several samples of one prompt: one request for all, one each, or the first a little ahead.

    python -m tts.evals.bench.several_draws [--json] [--quick] [--server FILE --model FILE]

Without a server: what the client spends on a draw, CPU time against a loopback server. With
llama.cpp's `llama-server` and a model (`make test-live` builds both): what the server spends too,
for a short and a long prompt. `ahead` waits for the first call's first token before it sends the
others, so that a prefix cache holds the prompt. Every repetition has a prompt of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import anyio
from pydantic import Field

from tts import Budget, Pipeline, Problem, Solution
from tts.backends.openai import OpenAI
from tts.evals.bench.loopback import loopback
from tts.run import Run
from tts.solver import open_solver
from tts.strategy import Strategy

DRAWS = 8
TOKENS = 16
ITEMS = {"short": 4, "long": 40}
READY_SECONDS = 60
WAYS = ("together", "singly", "ahead")


class _Work(Strategy, name="work"):
    """Lets a function use the run."""

    work: Callable[[Run], Awaitable[None]] = Field(exclude=True)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        await self.work(run)
        return Solution(answer=None)


async def _sample(run: Run, prompt: str, draws: int) -> None:
    async with run.sample(prompt, draws, max_tokens=TOKENS, temperature=1.0) as samples:
        assert len([candidate async for candidate in samples]) == draws


async def _draw(run: Run, prompt: str, way: str) -> None:
    """Draw all samples of a prompt in one of the ways."""
    if way != "ahead":
        await _sample(run, prompt, DRAWS)
        return
    has_begun = anyio.Event()

    async def first() -> None:
        await run.generate(
            prompt, on_token=lambda piece: has_begun.set(), max_tokens=TOKENS, temperature=1.0
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await has_begun.wait()
        await _sample(run, prompt, DRAWS - 1)


def _prompt(items: int, number: int) -> str:
    """Return a prompt that no other repetition begins like."""
    told = " ".join(f"item {number * 1000 + index}" for index in range(items))
    return f"{number}: here is a list: {told}. Tell a story about it."


@asynccontextmanager
async def _running(
    url: str, way: str, work: Callable[[Run], Awaitable[None]]
) -> AsyncIterator[None]:
    provider = OpenAI(
        base_url=f"{url}/v1",
        model="m",
        server="llamacpp",
        concurrency=DRAWS,
        capabilities={"n": way == "together"},
    )
    pipeline = Pipeline(
        models={"m": provider}, strategy=_Work(work=work), budget=Budget(total_tokens=10**10)
    )
    async with open_solver(pipeline) as solver:
        await solver.solve(pipeline.problem("q"))
        yield


async def _spent(
    url: str, way: str, prompts: list[str], server_cpu: Callable[[], float]
) -> dict[str, float]:
    """Return medians: the client's CPU microseconds a draw, the server's milliseconds, the wait."""
    client: list[float] = []
    server: list[float] = []
    waits: list[float] = []

    async def work(run: Run) -> None:
        for prompt in prompts:
            began = time.process_time(), server_cpu(), time.perf_counter()
            await _draw(run, prompt, way)
            client.append(1e6 * (time.process_time() - began[0]) / DRAWS)
            server.append(1e3 * (server_cpu() - began[1]))
            waits.append(1e3 * (time.perf_counter() - began[2]))

    async with _running(url, way, work):
        pass
    return {
        "client_us_a_draw": round(statistics.median(client), 1),
        "server_ms": round(statistics.median(server), 1),
        "wait_ms": round(statistics.median(waits), 1),
    }


@contextmanager
def _llama(binary: str, model: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """Start llama.cpp's server; yield its address and what CPU seconds it has used."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"-np {DRAWS} -c {DRAWS * 2048} -t 1 -tb 1 --no-webui --offline --jinja"
    command = [binary, "-m", model, "--host", "127.0.0.1", "--port", str(port), "--alias", "m"]
    with subprocess.Popen(
        [*command, *flags.split()],
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_until_ready(base)
            yield base, lambda: _cpu_seconds(process.pid)
        finally:
            process.terminate()


def _wait_until_ready(base: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            with urlopen(f"{base}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server is not ready after {READY_SECONDS} s")


def _cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process, of Linux's /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rows(url: str, server_cpu: Callable[[], float], repeats: int, kinds: list[str]) -> list[Any]:
    rows = []
    for kind in kinds:
        for number, way in enumerate(WAYS):
            prompts = [_prompt(ITEMS[kind], 100 * number + repeat) for repeat in range(repeats)]
            figures = anyio.run(_spent, url, way, prompts, server_cpu)
            rows.append({"prompt": kind, "way": way, **figures})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--server", default=os.environ.get("LLAMA_SERVER"))
    parser.add_argument("--model", default=os.environ.get("LLAMA_MODEL"))
    options = parser.parse_args()
    if options.server and options.model:
        with _llama(options.server, options.model) as (url, server_cpu):
            rows = _rows(url, server_cpu, 2 if options.quick else 6, list(ITEMS))
    else:
        with loopback() as url:
            rows = _rows(url, lambda: 0.0, 50 if options.quick else 500, ["short"])
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{DRAWS} draws of {TOKENS} tokens at most; medians\n")
    print(f"{'prompt':<8}{'way':<10}{'client us a draw':>17}{'server CPU ms':>15}{'wait ms':>10}")
    for row in rows:
        figures = f"{row['client_us_a_draw']:>17}{row['server_ms']:>15}{row['wait_ms']:>10}"
        print(f"{row['prompt']:<8}{row['way']:<10}{figures}")


if __name__ == "__main__":
    main()
