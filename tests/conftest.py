"""No network but loopback, one event loop flavour, no leftovers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# On top of Hypothesis' own choice of profile (repeatable in CI): short, and never timed.
settings.register_profile("house", settings(), deadline=None, max_examples=40)
settings.register_profile("coverage", settings.get_profile("house"), max_examples=10)


def pytest_configure(config: pytest.Config) -> None:
    # `make test` has tried all examples; which lines are reached, a few of them show.
    is_measured = bool(config.getoption("cov_source", default=None))
    settings.load_profile("coverage" if is_measured else "house")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections that leave the machine are errors."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise RuntimeError(f"a test may not connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield
