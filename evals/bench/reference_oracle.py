"""Decoding speed of the bundled model in our engine, llama.cpp, PyTorch and transformers.

The same prompts, the same number of tokens, always the most probable one, at batch 1, 8 and 64.
Every engine is a process that is pinned to one processor, or to two, with as many threads; the
engines take turns. Each is given few and many tokens, and the difference is what decoding them
takes: prompts, HTTP and starting cost nothing then. The best of the rounds counts, as others may
use the machine; processor time stands beside the clock's. Ratios are ours to theirs.

llama.cpp's server is measured if --server or LLAMA_SERVER names it (the extra `export` writes its
model, in float32), the others if they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from tts.backends.reference.bundled import bundled
from tts.backends.reference.export.to_gguf import to_gguf
from tts.evals.bench.engine_profile import profile
from tts.evals.bench.llama_server import Seconds, served
from tts.evals.bench.oracle_engines import PROMPT

BATCHES: Final = (1, 8, 64)
SHORT: Final = 16
"""Tokens after each prompt in the runs that are taken away."""


class Contestant(Protocol):
    """An engine that is ready to decode."""

    def decode(self, batch: int, tokens: int) -> Seconds:
        """Write so many tokens after each of so many prompts."""
        ...


class Worker:
    """Processes of `oracle_engines`, which share a batch."""

    def __init__(self, engine: str, processors: Sequence[Sequence[int]]) -> None:
        command = [sys.executable, "-m", "tts.evals.bench.oracle_engines", engine, "--processors"]
        self.processes = [
            subprocess.Popen(
                [*command, *map(str, pinned)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for pinned in processors
        ]
        for process in self.processes:
            _answer(process)

    def decode(self, batch: int, tokens: int) -> Seconds:
        """Give each process its share, and wait for the last."""
        share = batch // len(self.processes)
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"batch": share, "tokens": tokens}) + "\n")
            process.stdin.flush()
        answers = [_answer(process) for process in self.processes]
        return Seconds(
            max(each["clock"] for each in answers), sum(each["processor"] for each in answers)
        )

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _answer(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"an engine ended: {' '.join(map(str, process.args[2:]))}")  # type: ignore[index]  # a list
    answer: dict[str, float] = json.loads(line)
    return answer


def contestants(
    batch: int,
    processors: Sequence[int],
    binary: str | None,
    model: Path | None,
    stack: ExitStack,
) -> Iterator[tuple[str, int, Contestant]]:
    """Yield engines that are ready: name, threads, engine. Ours is the first."""
    found = [("ours", 1), ("ours, not exact", 1)]
    if batch > 1:
        found.append(("ours", 2))
    for engine, module in (("PyTorch", "torch"), ("transformers", "transformers")):
        if importlib.util.find_spec(module):
            found += [(engine, 1), (engine, 2)]
    for engine, threads in found:
        if threads > len(processors):
            continue
        pinned = processors[:threads]
        # Ours has one thread, so two are two processes with half of the batch each.
        worker = Worker(engine, [[each] for each in pinned] if engine == "ours" else [pinned])
        stack.callback(worker.close)
        yield engine, threads, worker
    if binary and model:
        for threads in range(1, len(processors) + 1):
            server = stack.enter_context(served(binary, model, batch, processors[:threads]))
            yield "llama.cpp", threads, server


def rates(
    engines: Sequence[tuple[str, int, Contestant]], batch: int, extra: int, rounds: int
) -> list[Seconds]:
    """Return each engine's tokens a second, of the clock and of the processor."""
    best: list[dict[int, list[Seconds]]] = [{SHORT: [], SHORT + extra: []} for _ in engines]
    for _ in range(rounds):
        for (_, _, engine), runs in zip(engines, best, strict=True):
            for tokens, seconds in runs.items():
                seconds.append(engine.decode(batch, tokens))
    found = []
    for runs in best:
        short, long = runs.values()
        found.append(
            Seconds(
                batch * extra / (min(s.clock for s in long) - min(s.clock for s in short)),
                batch * extra / (min(s.processor for s in long) - min(s.processor for s in short)),
            )
        )
    return found


def measure(
    binary: str | None, batches: Sequence[int], processors: Sequence[int], extra: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yield one result at a time."""
    with TemporaryDirectory() as folder:
        model = to_gguf(bundled(), Path(folder)) if binary else None
        for batch in batches:
            with ExitStack() as stack:
                engines = list(contestants(batch, processors, binary, model, stack))
                found = rates(engines, batch, extra, rounds)
            for (name, used, _), each in zip(engines, found, strict=True):
                yield {
                    "engine": name,
                    "threads": used,
                    "batch": batch,
                    "rate": each.clock,
                    "rate_processor": each.processor,
                    "ratio": found[0].clock / each.clock,
                    "ratio_processor": found[0].processor / each.processor,
                }


def shown(result: dict[str, Any]) -> str:
    """Return a result as a line."""
    if "part" in result:
        return (
            f"profile, batch {result['batch']:>2}  {result['part']:<34} {result['share']:6.1%}"
            f"  {result['microseconds']:7.1f} us a step"
        )
    if "engine" not in result:
        return f"{result}"
    return (
        f"batch {result['batch']:>2}  {result['engine']:<15} {result['threads']} thread"
        f"{'s' if result['threads'] > 1 else ' '}  {result['rate']:7.0f} tokens/s"
        f"  {result['rate_processor']:7.0f} a processor second; ours to this: "
        f"{result['ratio']:5.2f}, {result['ratio_processor']:5.2f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and tokens")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument(
        "--processors",
        type=int,
        nargs="+",
        default=sorted(os.sched_getaffinity(0))[:2],
        help="to pin to: the first for one thread, two for two; the emptiest first",
    )
    parser.add_argument("--server", default=os.environ.get("LLAMA_SERVER"), help="llama-server")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the engines, too
    setting: dict[str, Any] = {
        "processors": options.processors,
        "load": os.getloadavg()[0],
        "prompt": PROMPT,
        "tokens": 96 if options.quick else 160,
    }
    results = chain(
        [setting],
        profile(options.batches, steps=30 if options.quick else 200),
        measure(
            options.server,
            options.batches,
            options.processors,
            setting["tokens"],
            rounds=2 if options.quick else 8,
        ),
    )
    for result in results:
        print(json.dumps(result) if options.json else shown(result), flush=True)


if __name__ == "__main__":
    main()
