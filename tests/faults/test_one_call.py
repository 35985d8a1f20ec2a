"""One call against each fault: the right error, the right number of attempts, no leftovers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.faults.conftest import Loopback, Opening
from tests.faults.server import TEXT
from tts.backends import Meter
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    InvalidResponse,
    RateLimited,
)
from tts.messages import Message, Request

pytestmark = pytest.mark.anyio

REQUEST = Request(messages=(Message(role="user", content="What?"),), max_tokens=64, seed=3)


@dataclass(frozen=True)
class Row:
    """A fault, and the error that it must become."""

    fault: str
    error: type[BackendError]
    says: str = ""
    status: int | None = None
    retry_after: float | None = None
    stream: bool = False


ROWS = [
    Row("limited", RateLimited, "slow down", 429),
    Row("limited_seconds", RateLimited, "", 429, retry_after=7.0),
    Row("limited_date", RateLimited, "", 429, retry_after=9.0),
    Row("limited_reset", RateLimited, "", 429, retry_after=62.0),
    Row("no_credit", AuthenticationError, "top up", 429),
    Row("status_500", BackendUnavailable, "HTTP 500: oops", 500),
    Row("status_502", BackendUnavailable, "HTTP 502", 502),
    Row("status_503", BackendUnavailable, "HTTP 503", 503, retry_after=3.0),
    Row("status_529", BackendUnavailable, "HTTP 529", 529, retry_after=3.0),
    Row("status_401", AuthenticationError, "key is missing or wrong", 401),
    Row("status_403", AuthenticationError, "does not allow", 403),
    Row("status_404", BackendError, "check model and base_url", 404),
    Row("status_400", BackendError, r"omit: \[temperature\]", 400),
    Row("status_408", BackendTimeout, "gave up", 408),
    Row("context_openai", ContextLengthExceeded, "do not fit", 400),
    Row("context_llamacpp", ContextLengthExceeded, "do not fit", 400),
    Row("context_vllm", ContextLengthExceeded, "16 tokens", 400),
    Row("wrong_shape", InvalidResponse, "shape .*choices"),
    Row("a_list", InvalidResponse, "shape"),
    Row("empty_choices", InvalidResponse, "shape"),
    Row("null_content", InvalidResponse, "no text"),
    Row("number_content", InvalidResponse, "shape"),
    Row("moved_away", BackendError, r"redirects to https://elsewhere\.example/v1/[^?]*:", 308),
    Row("truncated_json", InvalidResponse, "no JSON", 200),
    Row("html_page", InvalidResponse, "HTML page", 200),
    Row("html_error", BackendUnavailable, "HTTP 502", 502),
    Row("empty_body", InvalidResponse, "0 bytes", 200),
    Row("ten_megabytes", InvalidResponse, "larger than", 200),
    Row("reset_before_head", BackendUnavailable, "closed the connection"),
    Row("closed_before_head", BackendUnavailable, "closed the connection"),
    Row("reset_in_body", BackendUnavailable, "middle of the answer"),
    Row("garbage", InvalidResponse, "no HTTP/1.1"),
    Row("stalled_before_head", BackendTimeout, "no answer began in 0.3 s"),
    Row("stalled_in_body", BackendTimeout, "stalled for 0.3 s"),
    Row("stream_ends_early", BackendUnavailable, "before the answer did", stream=True),
    Row("stream_done_early", BackendUnavailable, "before the answer did", stream=True),
    Row("stream_garbled", InvalidResponse, "no JSON", 200, stream=True),
    Row("stream_wrong_shape", InvalidResponse, "shape", stream=True),
    Row("stream_error", BackendUnavailable, "overloaded", stream=True),
    Row("stream_ten_megabytes", InvalidResponse, "larger than", 200, stream=True),
    Row("reset_in_stream", BackendUnavailable, "middle of the answer", stream=True),
    Row("stalled_in_stream", BackendTimeout, "stalled for 0.3 s", stream=True),
    Row("slow_drip", BackendTimeout, "no whole answer in 0.9 s", stream=True),
    Row("limited_seconds", RateLimited, "", 429, retry_after=7.0, stream=True),
    Row("html_page", InvalidResponse, "HTML page", 200, stream=True),
    Row("stalled_before_head", BackendTimeout, "no answer began in 0.3 s", stream=True),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fault}{'-stream' * row.stream}")
async def test_a_fault_becomes_the_right_error_after_one_attempt(
    row: Row, server: Loopback, opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret-of-the-tests")
    before, tasks = server.seen(row.fault)["requests"], len(anyio.get_running_tasks())
    heard: list[str] = []
    async with opened(row.fault, api_key_env="A_KEY") as backend:
        meter = Meter(listener=heard.append) if row.stream else Meter()
        with pytest.raises(row.error, match=row.says or None) as caught:
            await backend.generate(REQUEST, meter)
    error: Any = caught.value
    assert type(error) is row.error
    assert error.status == row.status
    assert getattr(error, "retry_after", None) == row.retry_after
    assert server.seen(row.fault)["requests"] == before + 1
    assert meter.started
    is_refused = (row.status or 0) >= 300 and row.error is not BackendTimeout
    assert (meter.prompt_tokens == 0) is is_refused  # what was refused costs nothing
    assert "sk-secret" not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert len(anyio.get_running_tasks()) == tasks


FINE = [
    ("fine", False),
    ("wrong_type", False),
    ("moved_here", False),
    ("stream_fine", True),
    ("stream_no_done", True),
    ("stream_two_dones", True),
    ("stream_odd_lines", True),
    ("stalled_after_done", True),
    ("stalled_after_finish", True),
    ("fine", True),
    ("stream_no_usage", True),
    ("usage_missing", False),
    ("usage_nonsense", False),
]
UNCOUNTED = {"stalled_after_finish", "usage_missing", "usage_nonsense"}
UNCOUNTED |= {"stream_no_usage", "stream_odd_lines"}


@pytest.mark.parametrize(("fault", "stream"), FINE)
async def test_an_answer_that_can_be_understood_is_an_answer(
    fault: str, stream: bool, opened: Opening
) -> None:
    heard: list[str] = []
    async with opened(fault) as backend:
        meter = Meter(listener=heard.append) if stream else Meter()
        completion = await backend.generate(REQUEST, meter)
    assert completion.text == TEXT
    assert completion.finish_reason == "stop"
    assert "".join(heard) == (TEXT if stream else "")
    assert meter.usage == completion.usage
    assert completion.usage.estimated == (fault in UNCOUNTED)
    if not completion.usage.estimated:
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (9, 5)
    assert 0 < completion.usage.completion_tokens <= 64


@pytest.mark.parametrize("fault", ["kept_then_closed", "kept_then_reset"])
async def test_a_kept_connection_that_was_closed_costs_one_more_attempt(
    fault: str, server: Loopback, opened: Opening
) -> None:
    before = server.seen(fault)
    async with opened(fault) as backend:
        texts = [(await backend.generate(REQUEST, Meter())).text for _ in range(3)]
    assert texts == [TEXT] * 3
    after = server.seen(fault)
    assert after["requests"] - before["requests"] == 5  # the first, and two that were sent twice
    assert after["connections"] - before["connections"] == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_is_aborted_at_the_server(
    stream: bool, server: Loopback, opened: Opening
) -> None:
    fault = "stalled_in_stream" if stream else "stalled_before_head"
    patient = {"first_byte": 60.0, "between_chunks": 60.0}
    async with opened(fault, timeouts=patient) as backend:
        meter = Meter(listener=lambda piece: tasks.cancel_scope.cancel()) if stream else Meter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.generate, REQUEST, meter)
            if not stream:
                await anyio.to_thread.run_sync(arrived, server, fault)
                tasks.cancel_scope.cancel()
        seen = await anyio.to_thread.run_sync(lambda: server.seen(fault, aborted=True))
    assert seen["aborted"]
    assert meter.started
    assert (meter.completion_tokens > 0) is stream


def arrived(server: Loopback, fault: str) -> None:
    """Return once the server has the request: it counts it before it stalls."""
    while not server.seen(fault)["requests"]:
        pass


async def test_a_refused_connection_says_so(opened: Opening) -> None:
    import socket

    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with opened("fine", base_url=url) as backend:
            meter = Meter()
            with pytest.raises(BackendUnavailable, match="is the server running"):
                await backend.generate(REQUEST, meter)
    assert meter.total_tokens == 0


async def test_an_unknown_host_says_so(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    async with opened("fine", base_url="http://no-such-host.invalid.local/v1") as backend:
        with pytest.raises(BackendUnavailable, match=r"no-such-host\.invalid\.local"):
            await backend.generate(REQUEST, Meter())


async def test_an_untrusted_certificate_is_refused_and_its_own_ca_is_not(
    secure_port: int, opened: Opening
) -> None:
    from tests.faults.conftest import TLS

    url = f"https://127.0.0.1:{secure_port}/fine/v1"
    async with opened("fine", base_url=url) as backend:
        with pytest.raises(BackendUnavailable, match="certificate"):
            await backend.generate(REQUEST, Meter())
    async with opened("fine", base_url=url, ca_file=TLS / "certificate.pem") as backend:
        assert (await backend.generate(REQUEST, Meter())).text == TEXT


async def test_https_to_a_plain_port_says_so(server: Loopback, opened: Opening) -> None:
    url = server.url.replace("http://", "https://") + "/fine/v1"
    async with opened("fine", base_url=url) as backend:
        with pytest.raises(BackendUnavailable):
            await backend.generate(REQUEST, Meter())


async def test_a_clock_that_jumps_changes_no_wait(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr(time, "time", lambda: 0.0)
    async with opened("limited_date") as backend:
        with pytest.raises(RateLimited) as caught:
            await backend.generate(REQUEST, Meter())
    assert caught.value.retry_after == 9.0


def test_the_fallback_is_taken_without_aiohttp(transport: str) -> None:
    from tts.backends.wire.settings import open_transport
    from tts.backends.wire.transport import Dialling

    async def main() -> str:
        opened = open_transport(Dialling(connect=1.0))
        await opened.close()
        return type(opened).__name__.lower()

    assert anyio.run(main) == f"{transport}transport"
    assert "aiohttp" in sys.modules or transport == "httpx"
