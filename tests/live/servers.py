"""Starts llama.cpp's own server on a model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tts.backends.openai import OpenAI

__all__ = ["Served", "serving"]

READY_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A server that runs, and what may be asked of its model.

    Attributes:
        url: Where it listens, without a path.
        alias: What it calls its model.
        slots: Calls that it works on at once.
        context: Tokens of each of them.
        question: What the model answers in several words, not always the same at temperature 1.5.
        raw: The beginning of a text that it goes on with.
        extra: What every call tells the server besides.
    """

    url: str
    alias: str
    slots: int
    context: int
    question: str
    raw: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def provider(self, *, extra: Mapping[str, Any] | None = None, **settings: Any) -> OpenAI:
        """Return the settings of a backend that asks it."""
        asked = {"base_url": f"{self.url}/v1", "extra": {**self.extra, **(extra or {})}}
        return OpenAI.model_validate(asked | settings)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask it directly."""
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(self.url + path, json.dumps(body).encode(), headers)) as response:
            return json.load(response)

    def busy_slots(self) -> int:
        """Return how many calls it works on."""
        with urlopen(f"{self.url}/slots") as response:
            return sum(slot["is_processing"] for slot in json.load(response))


@contextmanager
def serving(
    model: Path, *flags: str, alias: str, slots: int, context: int, **asked: Any
) -> Iterator[Served]:
    """Start the server that LLAMA_SERVER names; stop it at the end.

    Args:
        model: A GGUF file.
        flags: Further flags of the server.
        alias: As in `Served`, like all that follow.
        slots: Likewise.
        context: Likewise.
        asked: Likewise.
    """
    binary = os.environ.get("LLAMA_SERVER")
    if not binary:
        pytest.fail("LLAMA_SERVER names the server: make test-live")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # One thread each: spinning threads on a busy machine are many times slower.
    given = f"-np {slots} -c {slots * context} -t 1 -tb 1 --no-webui --slots --offline --jinja"
    command = [binary, "-m", str(model), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--alias", alias, *given.split(), *flags],
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, url)
            yield Served(url, alias, slots, context, **asked)
        finally:
            process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"the server ended with code {process.returncode}")
        try:
            with urlopen(f"{url}/health", timeout=1) as response:
                if response.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the server is not ready after {READY_SECONDS} s")
