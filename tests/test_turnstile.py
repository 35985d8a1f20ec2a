from __future__ import annotations

from typing import Any

import anyio
import pytest

from tts.ledger import Clock
from tts.stopping.takeovers import Decision, RateController
from tts.stopping.turn_scores import TurnScores
from tts.testing import virtual_run
from tts.turnstile import Turnstile


class Line:
    """A run whose clock stands where a test puts it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.followed: list[Clock] = []
        self.records: list[dict[str, Any]] = []

    def follow(self, clock: Clock) -> None:
        self.followed.append(clock)

    def record(self, event: str, **fields: Any) -> None:
        self.records.append({"event": event, **fields})


@pytest.mark.parametrize(("lag", "followed"), [(1, [Clock(100, 9)]), (2, [])])
def test_decision_comes_after_what_it_depends_on_on_the_clock_too(
    lag: int, followed: list[Clock]
) -> None:
    line = Line()
    turnstile = Turnstile(RateController(0.4, lag=lag), line)

    async def main() -> None:
        line.clock = Clock(100, 9)
        await turnstile.decide(1.0, sample=0, turn=0)
        line.clock = Clock(700, 9)
        await turnstile.decide(1.0, sample=0, turn=1)
        line.clock = Clock(5, 1)
        await turnstile.decide(1.0, sample=1, turn=0)

    virtual_run(main)
    assert line.followed == followed


def test_fixed_calibration_is_waited_for_by_nobody() -> None:
    line = Line()
    calibration = TurnScores(problems=(((0, 1.0),),))
    turnstile = Turnstile(RateController(0.4, calibration=calibration), line)
    virtual_run(lambda: turnstile.decide(1.0, sample=9, turn=3))
    assert line.followed == []
    assert [record["event"] for record in line.records] == ["takeover"]


@pytest.mark.parametrize("how", ["decide", "skip", "leave"])
def test_sample_waits_until_the_one_before_has_passed_however_it_does(how: str) -> None:
    turnstile = Turnstile(RateController(0.4, lag=1), Line())
    made: list[tuple[float, Decision]] = []

    async def late() -> None:
        await anyio.sleep(5.0)
        if how == "decide":
            await turnstile.decide(1.0, sample=0, turn=0)
        elif how == "skip":
            turnstile.skip(sample=0, turn=0)
        else:
            turnstile.leave(0)

    async def early() -> None:
        decision = await turnstile.decide(1.0, sample=1, turn=0)
        made.append((anyio.current_time(), decision))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(early)
            tasks.start_soon(late)

    virtual_run(main)
    ((at, decision),) = made
    assert at == 5.0
    assert decision.n == (how == "decide")
