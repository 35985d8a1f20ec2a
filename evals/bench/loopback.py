"""A loopback server in another process that answers every chat completion alike, at once.

    python -m tts.evals.bench.loopback

prints its port. `POST .../chat/completions` answers, with `n` choices or streamed if it is asked
to; a model named `silent` never does, and `GET /aborted` tells how many of its connections were
closed by the client, and when each was.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

__all__ = ["loopback"]

_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "loopback",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "2 + 2 = 4, so four are left. Answer: 4"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 90, "completion_tokens": 14, "total_tokens": 104},
}


def _response(value: object) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


@lru_cache
def _several(n: int) -> bytes:
    """Answer with n choices."""
    (choice,) = _ANSWER["choices"]
    return _response(_ANSWER | {"choices": [choice | {"index": index} for index in range(n)]})


def _stream() -> bytes:
    """Answer with a stream of one piece."""
    (choice,) = _ANSWER["choices"]
    events = [
        {"choices": [{"index": 0, "delta": choice["message"]}]},
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": _ANSWER["usage"],
        },
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    body += b"data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """Cuts requests apart; knows no more HTTP than its clients speak."""

    aborted: list[float] = []  # noqa: RUF012  # of the whole server
    answer = _response(_ANSWER)
    streamed = _stream()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received, self._is_silent = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            size = end + 4 + int(length.partition(b"\r\n")[0] or 0)
            if len(self._received) < size:
                return
            request, self._received = self._received[:size], self._received[size:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET /aborted"):
            self._transport.write(_response(self.aborted))
        elif b'"silent"' in request:
            self._is_silent = True
        elif b'"n":' in request:
            wanted = json.loads(request.partition(b"\r\n\r\n")[2])["n"]
            self._transport.write(_several(wanted))
        elif b'"stream":true' in request:
            self._transport.write(self.streamed)
        else:
            self._transport.write(self.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_silent:
            self.aborted.append(time.monotonic())


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def loopback() -> Iterator[str]:
    """Start the server, on the last core while this process keeps to the first; yield its URL."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    command = [sys.executable, "-m", "tts.evals.bench.loopback"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if len(cores) > 1:
                os.sched_setaffinity(process.pid, {cores[-1]})
                os.sched_setaffinity(0, {cores[0]})
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            if len(cores) > 1:
                os.sched_setaffinity(0, set(cores))


if __name__ == "__main__":
    asyncio.run(_serve())
