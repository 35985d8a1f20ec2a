"""The misbehaving server, started once; backends that lead to one of its faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tts.backends import Backend
from tts.backends.openai import OpenAI

ROOT = Path(__file__).parents[2]
TLS = Path(__file__).with_name("tls")
PATIENT = {"first_byte": 60.0, "between_chunks": 60.0}
HASTY = {"connect": 5.0, "first_byte": 0.3, "between_chunks": 0.3, "total": 0.9}


@dataclass(frozen=True)
class Loopback:
    """Where the server is, and what it has seen."""

    url: str

    def seen(self, fault: str, *, aborted: bool = False) -> dict[str, Any]:
        """Return the counts of a fault; with `aborted`, once a client has gone away."""
        with urlopen(f"{self.url}/{fault}/seen{'?aborted' if aborted else ''}") as response:
            counts: dict[str, Any] = json.load(response)
            return counts


@contextmanager
def started(*arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.faults.server", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def server() -> Iterator[Loopback]:
    with started() as port:
        yield Loopback(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="session")
def secure_port() -> Iterator[int]:
    with started(str(TLS / "certificate.pem"), str(TLS / "key.pem")) as port:
        yield port


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to carry a request; httpx is taken because aiohttp seems not to be installed."""
    if request.param == "httpx":
        monkeypatch.setitem(sys.modules, "tts.backends.wire.over_aiohttp", None)
    return str(request.param)


def timeouts(fault: str) -> dict[str, float]:
    """Wait briefly for what never comes, and for all else as long as a busy machine takes."""
    return HASTY if fault.startswith(("stalled", "slow")) else PATIENT


Opening = Callable[..., AbstractAsyncContextManager[Backend]]


@pytest.fixture
def opened(server: Loopback, transport: str) -> Opening:
    """Opens a backend that meets a fault."""

    def opened(fault: str, **settings: Any) -> AbstractAsyncContextManager[Backend]:
        fields = {"base_url": f"{server.url}/{fault}/v1", "model": "m", "server": "vllm"}
        return OpenAI.model_validate(fields | {"timeouts": timeouts(fault)} | settings).open()

    return opened
