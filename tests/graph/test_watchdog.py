from __future__ import annotations

import time
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from tts.graph.watchdog import Watched
from tts.testing import virtual_run


class Twice:
    """An awaitable of the plain kind: an iterator that knows no `send`."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __await__(self) -> Any:
        return map(self.steps.append, (1, 2))


def test_each_step_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 10.0, 12.0])
    held: list[float] = []

    async def main() -> str:
        async def work() -> str:
            await anyio.sleep(5.0)
            return "done"

        monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
        return str(await Watched(work(), held.append))

    assert virtual_run(main) == "done"
    assert held == [1.0, 2.0]


def test_awaitables_of_every_kind_are_stepped() -> None:
    async def main() -> None:
        await Watched(twice, lambda seconds: None)

    twice = Twice()
    virtual_run(main)
    assert twice.steps == [1, 2]


def test_errors_and_cancellations_reach_the_work() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep(9.0)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise

    async def main() -> None:
        with anyio.move_on_after(1.0):
            await Watched(work(), lambda seconds: None)
        with pytest.raises(ZeroDivisionError):
            await Watched(fails(), lambda seconds: None)

    async def fails() -> None:
        raise ZeroDivisionError

    virtual_run(main)
    assert seen == ["CancelledError"]


def test_closing_it_closes_the_work() -> None:
    closed: list[bool] = []

    def steps() -> Generator[None, None, None]:
        try:
            yield
        finally:
            closed.append(True)

    class Work:
        def __await__(self) -> Generator[None, None, None]:
            return steps()

    watched = Watched(Work(), lambda seconds: None).__await__()
    next(watched)
    watched.close()
    assert closed == [True]


def test_context_variables_stay_within() -> None:
    here: ContextVar[str] = ContextVar("here", default="clean")

    async def main() -> list[str]:
        seen: list[str] = []

        async def work() -> None:
            here.set("dirty")
            await anyio.lowlevel.checkpoint()
            seen.append(here.get())

        await Watched(work(), lambda seconds: None)
        return [*seen, here.get()]

    assert anyio.run(main) == ["dirty", "clean"]
