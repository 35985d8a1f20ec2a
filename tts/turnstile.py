"""Where the samples of a problem hear whether the target takes over, however their calls finish."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Protocol

import anyio

from tts.ledger import Clock
from tts.stopping.takeovers import Decision, RateController

__all__ = ["Turnstile"]


class _Line(Protocol):
    """What the turnstile needs of a run: it is passed from within the sample that asks."""

    @property
    def clock(self) -> Clock: ...
    def follow(self, clock: Clock) -> None: ...
    def record(self, event: str, **fields: Any) -> None: ...


class Turnstile:
    """Lets samples of one problem through, each when what its decision depends on is there.

    A sample waits for earlier samples only, and only for those that its decision looks at: with
    scores of other problems and fixed levels, for none. Each is released by `leave` however it
    ended, so nobody waits for ever. The wait is on the samples' clocks too.

    Args:
        controller: Decides.
        run: Keeps the clocks and the audit: an event `takeover` for each decision.
    """

    def __init__(self, controller: RateController, run: _Line) -> None:
        self.controller, self._run = controller, run
        self._news = anyio.Event()
        self._passed: defaultdict[int, list[tuple[float, Clock]]] = defaultdict(list)

    async def decide(self, score: float | None, *, sample: int, turn: int) -> Decision:
        """Wait for what the decision needs, and decide; see `RateController.decide`."""
        while not self.controller.is_ready(sample, turn):
            await self._news.wait()
        self._follow(sample, turn)
        decision = self.controller.decide(score, sample=sample, turn=turn)
        told = decision.model_dump()
        self._run.record("takeover", **told, p=decision.p, takes_over=decision.takes_over)
        self._tell(sample, turn)
        return decision

    def skip(self, *, sample: int, turn: int) -> None:
        """Let a sample pass a turn without a decision."""
        self.controller.skip(sample=sample, turn=turn)
        self._tell(sample, turn)

    def leave(self, sample: int) -> None:
        """Let a sample go, however it ended."""
        self.controller.leave(sample)
        self._tell(sample, math.inf)

    def _tell(self, sample: int, turn: float) -> None:
        self._passed[sample].append((turn, self._run.clock))
        news, self._news = self._news, anyio.Event()
        news.set()

    def _follow(self, sample: int, turn: int) -> None:
        """Join the clocks of the samples whose passing the decision has used."""
        if not self.controller.waits:
            return
        for earlier in range(sample - self.controller.lag + 1):
            passed = self._passed[earlier]
            self._run.follow(next(clock for done, clock in passed if done >= turn))
