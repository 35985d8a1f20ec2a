"""A loopback server that misbehaves on a script, in a process of its own.

    python -m tests.faults.server [CERTIFICATE KEY]

prints its port. The first part of a path names the fault; `GET /FAULT/seen` tells how many requests
and connections that fault has met, and waits for an abort if `?aborted` is asked for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

USAGE = {"prompt_tokens": 9, "completion_tokens": 5}
TEXT = "All good. Answer: 7"
DATE = "Tue, 24 Nov 2026 08:00:00 GMT"


def answer(content: Any = TEXT, **fields: Any) -> dict[str, Any]:
    """A chat completion; fields replace its own."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    choice["finish_reason"] = "stop"
    return {"choices": [choice], "usage": USAGE} | fields


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


def piece(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return event(json.dumps({"choices": [choice], "usage": None}))


def event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


PIECES = [piece("All good. "), piece("Answer: 7"), piece("", "stop")]
LAST = event(json.dumps({"choices": [], "usage": USAGE}))
DONE = event("[DONE]")


@dataclass
class Seen:
    """What one fault has met."""

    requests: int = 0
    connections: set[int] = field(default_factory=set)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Exchange:
    """One request and the means to answer it badly."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: Mapping[str, str]
    body: dict[str, Any]
    connection: int
    """Which connection of the server this is."""
    on_connection: int
    """Which request this is on its connection, from 1."""
    seen: Seen

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send(
        self, status: int, body: bytes, kind: str = "application/json", **headers: str
    ) -> None:
        named = {"content-type": kind, "content-length": str(len(body)), "date": DATE}
        named |= {name.replace("_", "-"): text for name, text in headers.items()}
        head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        await self.raw(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)

    async def say(self, value: Any, status: int = 200, **headers: str) -> None:
        await self.send(status, json.dumps(value).encode(), **headers)

    async def begin_stream(self) -> None:
        await self.raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )

    async def chunk(self, data: bytes) -> None:
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def stream(self, *parts: bytes) -> None:
        await self.begin_stream()
        for part in parts:
            await self.chunk(part)
        await self.raw(b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection as a dead machine would."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_aborted(self) -> None:
        await self.reader.read()
        self.seen.aborted.set()


Fault = Callable[[Exchange], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


def says(name: str, value: Any, status: int = 200, **headers: str) -> None:
    """A fault that is a response of JSON."""

    async def play(exchange: Exchange) -> None:
        await exchange.say(value, status, **headers)

    FAULTS[name] = play


def sends(name: str, body: bytes, kind: str, status: int = 200) -> None:
    """A fault that is a response of bytes."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(status, body, kind)

    FAULTS[name] = play


def streams(name: str, *parts: bytes) -> None:
    """A fault that is a stream."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream(*parts)

    FAULTS[name] = play


says("fine", answer())
says("limited", error("slow down", code="rate_limit_exceeded"), 429)
says("limited_seconds", error("slow down"), 429, retry_after="7")
says("limited_date", error("slow down"), 429, retry_after="Tue, 24 Nov 2026 08:00:09 GMT")
says("limited_reset", error("slow down"), 429, x_ratelimit_reset_requests="1m2s")
says("no_credit", error("pay first", code="insufficient_quota"), 429)
for status in (500, 502, 503, 529):
    says(f"status_{status}", error("oops"), status, retry_after="3")
says("status_401", error("Incorrect API key provided: sk-secret-of-the-tests"), 401)
says("status_403", error("not for sk-secret-of-the-tests"), 403)
says("status_404", error("no such model"), 404)
says("status_400", error("bad field", code="unsupported_value", param="temperature"), 400)
says("status_408", error("too slow"), 408)
says("context_openai", error("too long", code="context_length_exceeded"), 400)
says("context_llamacpp", error("too long", type="exceed_context_size_error", code=400), 400)
says(
    "context_vllm",
    {
        "object": "error",
        "message": "This model's maximum context length is 16 tokens.",
        "code": 400,
    },
    400,
)
says("wrong_shape", {"answer": 7})
says("a_list", [1, 2])
says("empty_choices", answer(choices=[]))
says("null_content", answer(None))
says("number_content", answer(7))
says("usage_missing", answer(usage=None))
says("usage_nonsense", answer(usage={"prompt_tokens": "9", "completion_tokens": -1}))
says("moved_away", {}, 308, location="https://elsewhere.example/v1/chat/completions?key=x")
sends("truncated_json", json.dumps(answer()).encode()[:-20], "application/json")
sends("wrong_type", json.dumps(answer()).encode(), "text/plain")
sends("html_page", b"<!DOCTYPE html><html><body>It works</body></html>", "text/html")
sends("html_error", b"<html><body>502 Bad Gateway</body></html>", "text/html", 502)
sends("empty_body", b"", "application/json")
sends("ten_megabytes", b" " * 10_000_000, "application/json")
streams("stream_fine", *PIECES, LAST, DONE)
streams("stream_no_done", *PIECES, LAST)
streams("stream_two_dones", *PIECES, LAST, DONE, DONE)
streams("stream_no_usage", *PIECES, DONE)
streams("stream_ends_early", *PIECES[:2])
streams("stream_done_early", *PIECES[:2], DONE)
streams("stream_garbled", PIECES[0], event('{"choices": [{"del'))
streams("stream_wrong_shape", event('{"delta": 7}'))
streams("stream_error", PIECES[0], event(json.dumps(error("overloaded", type="overloaded_error"))))
streams("stream_odd_lines", b": hi\r\n\r\nevent: x\r\n" + b"".join(PIECES).replace(b"\n", b"\r\n"))
streams("stream_ten_megabytes", *[b":" + b" " * 1_000_000 + b"\n" for _ in range(10)])


@fault
async def moved_here(exchange: Exchange) -> None:
    await exchange.say({}, 307, location="/fine/v1/chat/completions")


@fault
async def reset_before_head(exchange: Exchange) -> None:
    exchange.reset()


@fault
async def closed_before_head(exchange: Exchange) -> None:
    exchange.writer.close()


@fault
async def reset_in_body(exchange: Exchange) -> None:
    await exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b'{"choices": [')
    exchange.reset()


@fault
async def reset_in_stream(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.chunk(PIECES[0])
    exchange.reset()


@fault
async def garbage(exchange: Exchange) -> None:
    await exchange.raw(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 4)  # what HTTP/2 begins with
    exchange.writer.close()


@fault
async def stalled_before_head(exchange: Exchange) -> None:
    await exchange.until_aborted()


@fault
async def stalled_in_body(exchange: Exchange) -> None:
    await exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b'{"choices": [')
    await exchange.until_aborted()


@fault
async def stalled_in_stream(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.chunk(PIECES[0])
    await exchange.until_aborted()


@fault
async def stalled_after_done(exchange: Exchange) -> None:
    await exchange.begin_stream()
    for part in (*PIECES, LAST, DONE):
        await exchange.chunk(part)
    await exchange.until_aborted()


@fault
async def stalled_after_finish(exchange: Exchange) -> None:
    await exchange.begin_stream()
    for part in PIECES:
        await exchange.chunk(part)
    await exchange.until_aborted()


@fault
async def slow_drip(exchange: Exchange) -> None:
    await exchange.begin_stream()
    try:
        while True:
            await exchange.chunk(b": wait\n\n")
            await asyncio.sleep(0.02)
    except ConnectionError:
        exchange.seen.aborted.set()


@fault
async def kept_then_closed(exchange: Exchange) -> None:
    """Closes each connection under its second request, without a word."""
    if exchange.on_connection > 1:
        exchange.writer.close()
    else:
        await exchange.say(answer())


@fault
async def kept_then_reset(exchange: Exchange) -> None:
    if exchange.on_connection > 1:
        exchange.reset()
    else:
        await exchange.say(answer())


@fault
async def every_other(exchange: Exchange) -> None:
    """Fails every second request."""
    if exchange.seen.requests % 2:
        await exchange.say(error("oops"), 500)
    else:
        await exchange.say(answer())


@fault
async def three_answers(exchange: Exchange) -> None:
    """Answers the first three requests and leaves the others waiting."""
    if exchange.seen.requests <= 3:
        await exchange.say(answer())
    else:
        await exchange.until_aborted()


@fault
async def echo(exchange: Exchange) -> None:
    """Answers with what was asked."""
    asked = {"body": exchange.body, "headers": dict(exchange.headers)}
    await exchange.say(answer(json.dumps(asked)))


class Server:
    """Serves all faults and keeps count."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = defaultdict(Seen)
        self._connections = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count, number = 0, self._connections
        self._connections += 1
        try:
            while await self._request(reader, writer, number, count := count + 1):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, count: int
    ) -> bool:
        first = await reader.readexactly(1)
        if not first.isalpha():  # a TLS greeting to a port that speaks plainly
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): text for name, _, text in (line.partition(": ") for line in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = self.seen[target.split("/")[1]]
        exchange = Exchange(
            reader, writer, headers, json.loads(body) if body else {}, number, count, seen
        )
        if method == "GET":
            await self._report(exchange, target)
        else:
            seen.requests += 1
            seen.connections.add(number)
            await FAULTS[target.split("/")[1]](exchange)
        return not writer.is_closing()

    async def _report(self, exchange: Exchange, target: str) -> None:
        seen = exchange.seen
        if target.endswith("?aborted"):
            await asyncio.wait_for(seen.aborted.wait(), 10)
        counts = {"requests": seen.requests, "connections": len(seen.connections)}
        await exchange.say(counts | {"aborted": seen.aborted.is_set()})


async def main(*files: str) -> None:
    context = None
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    server = await asyncio.start_server(Server().connection, "127.0.0.1", 0, ssl=context)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
