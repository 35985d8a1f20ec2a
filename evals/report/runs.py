"""Run stores as reports see them: cells that differ by their seed only are one entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError
from tts.evals.figures import Summary
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore
from tts.evals.summary import summarise

__all__ = ["STORE", "Entry", "Result", "Run", "load", "store_path", "stored_row"]

STORE: Final = "run.sqlite"
"""What the store is called in a folder that `tts bench` made."""


@dataclass(frozen=True, slots=True)
class Run:
    """A store, named as its folder or file is."""

    name: str
    path: Path
    about: dict[str, Any]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A solved problem without what was said: the row's texts and trace stay in the store."""

    run: int
    """Number of its run."""
    seed: int
    row: Row


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the report: a strategy on a task under a budget, all seeds together."""

    run: str
    """The run's name where several runs hold the same entry, else empty."""
    summary: Summary
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    planned: int | None
    """Rows there will be; None where the run does not say."""
    results: tuple[Result, ...]
    is_pool: bool = False
    """Whether its samples are independent draws, all of them kept."""

    @property
    def task(self) -> str:
        """The task's title."""
        return self.summary.task

    @property
    def label(self) -> str:
        """Strategy, budget and run, as a legend calls it."""
        budget = "" if self.summary.budget == "none" else f", {self.summary.budget}"
        return f"{self.strategy}{budget}" + (f" ({self.run})" if self.run else "")

    @property
    def strategy(self) -> str:
        """The suite's label; the baseline's says what it is."""
        samples = self.settings.get("strategy", {}).get("samples")
        if self.summary.is_baseline and samples is not None:
            return f"self-consistency × {samples}"
        return self.summary.strategy

    @property
    def facet(self) -> tuple[str, str]:
        """Task and model: what entries must share to be compared."""
        return self.summary.task, self.summary.model


def store_path(path: Path) -> Path:
    """Return the store that a path means: itself, or the one in the folder.

    Raises:
        ConfigError: If the folder holds none.
    """
    if not path.is_dir():
        return path
    if not (path / STORE).exists():
        message = f"no {STORE} in this folder: is it one that tts bench --out made?"
        raise ConfigError(message, path=str(path))
    return path / STORE


def load(paths: Sequence[Path]) -> tuple[list[Run], list[Entry]]:
    """Read runs, their texts left out.

    Args:
        paths: Run stores, or the folders they lie in.

    Raises:
        ConfigError: If one is missing, no run store, or holds no cell.
    """
    runs: list[Run] = []
    found: list[tuple[str, Entry]] = []
    for number, path in enumerate(map(store_path, paths)):
        with RunStore(path, read_only=True) as store:
            name = _free(_name(path), [run.name for run in runs])
            run = Run(name, path, store.about(), tuple(store.cells()))
            if not run.cells:
                raise ConfigError("this run has no cells yet: nothing to report", path=str(path))
            found += [(run.name, entry) for entry in _entries(store, run, number)]
        runs.append(run)
    often = Counter(_place(entry.summary) for _, entry in found)
    entries = [
        replace(entry, run=name) if often[_place(entry.summary)] > 1 else entry
        for name, entry in found
    ]
    return runs, entries


def _name(path: Path) -> str:
    return path.resolve().parent.name if path.name == STORE else path.stem


def _free(name: str, taken: Sequence[str]) -> str:
    """Return the name, with a number behind it if another run has it."""
    names = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(each for each in names if each not in taken)


def _entries(store: RunStore, run: Run, number: int) -> list[Entry]:
    plan = run.about.get("problems")
    entries = []
    for summary in summarise(store):
        own = [cell for cell in run.cells if _place(cell) == _place(summary)]
        counts = [plan.get(cell.key) if isinstance(plan, dict) else None for cell in own]
        known = [count for count in counts if isinstance(count, int)]
        entries.append(
            Entry(
                run="",
                summary=summary,
                settings=own[0].settings,
                is_pool=own[0].is_pool,
                seeds=tuple(cell.seed for cell in own),
                planned=sum(known) if len(known) == len(own) else None,
                results=tuple(
                    Result(number, cell.seed, row)
                    for cell in own
                    for row in store.rows(cell, texts=False)
                ),
            )
        )
    return entries


def _place(one: Cell | Summary) -> tuple[str, str, str, str]:
    return one.task, one.model, one.strategy, one.budget


def stored_row(path: Path, cell: str, example: str) -> Row | None:
    """Return a row with all its texts; None if there is none."""
    with RunStore(path, read_only=True) as store:
        return store.row(cell, example)
