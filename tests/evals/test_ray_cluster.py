"""Reaching a cluster, with a stand-in for Ray; `make ray-test` has the real one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tts import ConfigError
from tts.evals import ray_cluster as module
from tts.evals.ray_cluster import ray_cluster


class FakeRay(SimpleNamespace):
    """Notes how it was connected, and from which thread."""

    def __init__(self, connect: Callable[[], None] = lambda: None, *, is_up: bool = False) -> None:
        super().__init__()
        self.connect, self.is_up = connect, is_up
        self.asked: list[tuple[str, bool]] = []
        self.ended = 0

    def is_initialized(self) -> bool:
        return self.is_up

    def init(self, *, address: str, **settings: Any) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        self.asked.append((address, in_main))
        self.connect()

    def shutdown(self) -> None:
        self.ended += 1


def connect(monkeypatch: pytest.MonkeyPatch, ray: FakeRay, address: str | None) -> None:
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", address or "")

    async def main() -> None:
        async with ray_cluster() as found:
            assert found is ray

    anyio.run(main)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        (None, ("local", True)),  # its processes would end with another thread
        ("local", ("local", True)),
        ("head:6379", ("head:6379", False)),
    ],
)
def test_it_is_connected_and_left(
    monkeypatch: pytest.MonkeyPatch, address: str | None, asked: tuple[str, bool]
) -> None:
    ray = FakeRay()
    connect(monkeypatch, ray, address)
    assert (ray.asked, ray.ended) == ([asked], 1)


def test_what_the_caller_connected_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(is_up=True)
    connect(monkeypatch, ray, "head:6379")
    assert (ray.asked, ray.ended) == ([], 0)


def test_an_address_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REACH", 0)
    answer = threading.Event()

    def hang() -> None:
        answer.wait()

    ray = FakeRay(hang)
    try:
        with pytest.raises(ConfigError, match=r"RAY_ADDRESS=head:6379 cannot .*\(no answer in 0 s"):
            connect(monkeypatch, ray, "head:6379")
    finally:
        answer.set()
    assert ray.ended == 0


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("foo", r"RAY_ADDRESS=foo cannot be reached \(Invalid address\): see whether it runs"),
        (None, r"Ray cannot be started on this machine: Invalid address\."),
    ],
)
def test_what_ray_says_is_told(
    monkeypatch: pytest.MonkeyPatch, address: str | None, told: str
) -> None:
    def refuse() -> None:
        raise ValueError("Invalid address.")

    with pytest.raises(ConfigError, match=told):
        connect(monkeypatch, FakeRay(refuse), address)
