"""How far `tts calibrate` has come, and what it has spent, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import typer

from tts.cli.words import duration
from tts.ledger import RunUsage

__all__ = ["Sampling"]


class Sampling:
    """Counts problems that are sampled in full: a line at each tenth of them, and one at the end.

    Costs are those of all problems that were begun, also where one failed or was cut short.

    Args:
        total: Problems.
        kept: How many of them need not be sampled any more.
        clock: Seconds since whenever.
    """

    def __init__(self, total: int, kept: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._planned, self._kept, self._clock = total - kept, kept, clock
        self._done = self._lost = self._tenths = self._calls = self._tokens = 0
        self._usd: float | None = 0.0
        self._began = clock()

    def hear(self, record: Mapping[str, Any]) -> None:
        """Count a problem when its trace tells that it has ended, however it did."""
        if record["event"] == "end":
            is_full = record["status"] not in {"failed", "budget_exhausted"}
            self.add(RunUsage.model_validate(record["usage"]), is_full=is_full)

    def add(self, usage: RunUsage, *, is_full: bool = True) -> None:
        """Count a problem; one that is not full has cost what it did, and is not sampled."""
        self._done += is_full
        self._lost += not is_full
        self._calls += usage.calls
        self._tokens += usage.total_tokens
        known = self._usd is not None and usage.cost_usd is not None
        self._usd = (self._usd or 0.0) + (usage.cost_usd or 0.0) if known else None
        if not is_full:
            return
        tenths = 10 * self._done // self._planned
        if tenths > self._tenths and self._done < self._planned:
            elapsed = self._clock() - self._began
            left = duration(elapsed / self._done * (self._planned - self._done))
            told = f"{self._done} of {self._planned} problems sampled, about {left} left"
            typer.echo(f"tts: {told}; {self._cost}", err=True)
        self._tenths = tenths

    def end(self) -> None:
        """Tell what it has cost, also where it was cut short."""
        kept = f", {self._kept} taken from the file" if self._kept else ""
        lost = f", {self._lost} failed or cut short" if self._lost else ""
        typer.echo(f"tts: {self._done} problems sampled{kept}{lost}; {self._cost}", err=True)

    @property
    def _cost(self) -> str:
        usd = "price unknown" if self._usd is None else f"${self._usd:.4g}"
        return f"{self._calls:,} calls, {self._tokens:,} tokens, {usd}"
