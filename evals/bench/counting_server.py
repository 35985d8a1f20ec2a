"""A loopback server of chat completions that counts what it is asked, and may kill whoever asks.

An answer depends on the request's seed alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

__all__ = ["SUITE", "CountingServer", "bench", "counting_server"]

SUITE: Final = """
tasks: [{{use: graphs, level: 1, problems: {problems}}}]
models:
  far:
    {{backend: openai, base_url: "{url}", server: vllm, model: m, concurrency: {concurrency},
      capabilities: {{n: false}}}}
strategies:
  vote: {{use: self_consistency, samples: 3, stop: never}}
  refine: {{use: sequential_refine, rounds: 2}}
  dominance: {{use: self_consistency, samples: 6}}
equal: total
baseline: {{samples: 6}}
concurrency: 2
"""


class CountingServer(ThreadingHTTPServer):
    """Answers on a free port.

    Attributes:
        asked: Bodies of the requests, as they came.
        victim: Who is killed at request number `fatal`, counted from 1; 0 is never.
        is_late: Kill it after the answer was sent, not before.
        weapon: The signal that is sent.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lock = Lock()
        self.asked: list[str] = []
        self.victim: subprocess.Popen[str] | None = None
        self.fatal, self.is_late, self.weapon = 0, False, signal.SIGKILL

    @property
    def url(self) -> str:
        """Where the API begins."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def count(self, body: str) -> bool:
        """Note a request; return whether it is the fatal one."""
        with self._lock:
            self.asked.append(body)
            return len(self.asked) == self.fatal

    def strike(self) -> None:
        """Send the signal."""
        if self.victim is not None:
            os.kill(self.victim.pid, self.weapon)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who asked may be dead."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name that the library looks for
        server = self.server
        assert isinstance(server, CountingServer)
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_fatal = server.count(text)
        if is_fatal and not server.is_late:
            server.strike()
        answer = json.dumps(_answer(json.loads(text))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if is_fatal and server.is_late:
            server.strike()

    def log_message(self, *_: object) -> None:
        pass


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    seed = asked["seed"]
    message = {"role": "assistant", "content": f"step {seed % 5}. Answer: {seed % 3}"}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": seed % 9 + 1},
    }


@contextmanager
def counting_server() -> Iterator[CountingServer]:
    """Start a server in a thread, and stop it on the way out."""
    with CountingServer() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def bench(
    server: CountingServer, folder: Path, *options: str, problems: int = 8, concurrency: int = 4
) -> tuple[int, str, str]:
    """Run `tts bench --json` on the server; return its exit code, output and errors."""
    suite = folder.parent / "suite.yaml"
    text = SUITE.format(url=server.url, problems=problems, concurrency=concurrency)
    suite.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "tts", "bench", str(suite), "--out", str(folder), "--json"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        server.victim = process
        out, err = process.communicate()
        return process.returncode, out, err
