"""What the bench of strategies works on and keeps: problems, entries, rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts import Strategy

__all__ = ["POOL", "Entry", "Store", "Task"]

POOL: Final = "pool"
"""The entry whose samples are the baseline."""


@dataclass(frozen=True, slots=True)
class Task:
    """One held-out problem."""

    id: str
    level: int
    text: str
    right: str


class Store:
    """The rows of one entry, a JSON line a problem."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any], salt: str) -> None:
        digest = hashlib.sha256(json.dumps([settings, salt], sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{name}-{digest[:10]}.jsonl"
        self.rows: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                if line.endswith("}"):  # not one that was cut off
                    row = json.loads(line)
                    self.rows[row["id"]] = row
            whole = "".join(json.dumps(row) + "\n" for row in self.rows.values())
            self.path.write_text(whole)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row."""
        self.rows[row["id"]] = row
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A strategy that takes part."""

    name: str
    strategy: Strategy
    store: Store

    @property
    def detail(self) -> int:
        """What it reads of each token; who reads most draws first, and others share its samples."""
        vote = getattr(self.strategy, "vote", None)
        needs = {ability for each in self.strategy.needs().values() for ability in each}
        return 2 * bool(vote is not None and vote.alternatives()) + ("logprobs" in needs)
