"""llama.cpp's server as an engine to measure: pinned to processors, asked by token ids."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tts.evals.bench.oracle_engines import prompts

__all__ = ["Seconds", "Server", "served"]

READY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a run took."""

    clock: float
    processor: float


class Server:
    """llama.cpp's server; `slots` calls at once are one batch."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self._port = process, port

    def decode(self, batch: int, tokens: int) -> Seconds:
        """Send all calls at once, and wait for the last answer."""
        bodies = [
            json.dumps(
                {
                    "prompt": ids,
                    "n_predict": tokens,
                    "ignore_eos": True,
                    "cache_prompt": False,
                    "samplers": ["top_k"],
                    "top_k": 1,
                }
            )
            for ids in prompts(batch)
        ]
        with ThreadPoolExecutor(batch) as pool:
            clock, processor = time.perf_counter(), self._processor()
            counts = list(pool.map(self._post, bodies))
            clock, processor = time.perf_counter() - clock, self._processor() - processor
        if set(counts) != {tokens}:
            raise SystemExit(f"llama.cpp wrote {sorted(set(counts))} tokens, not {tokens}")
        return Seconds(clock, processor)

    def _post(self, body: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        count: int = json.load(connection.getresponse())["tokens_predicted"]
        connection.close()
        return count

    def _processor(self) -> float:
        # Finer than the ticks of `stat`, which are 10 ms.
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def served(binary: str, model: Path, slots: int, processors: Sequence[int]) -> Iterator[Server]:
    """Start llama.cpp's server, pinned, and stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = len(processors)
    # Keys and values in float32, as ours; of a model this small that is no slower than float16.
    flags = (
        f"-np {slots} -c {slots * 512} -t {threads} -tb {threads} --no-webui --offline"
        " -ctk f32 -ctv f32 -fa off"
    )
    command = [binary, "-m", str(model), "--host", "127.0.0.1", "--port", str(port), *flags.split()]
    with subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, processors)), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_until_ready(process, port)
            yield Server(process, port)
        finally:
            process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("llama.cpp's server did not start")
