"""Run stores as reports see them: cells that differ by their seed only are one entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore

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


@dataclass(slots=True)
class Entry:
    """A line of the report: a strategy on a task under a budget, all seeds together."""

    task: str
    model: str
    strategy: str
    budget: str
    run: str
    """The run's name where several runs hold the same entry, else empty."""
    is_baseline: bool
    settings: dict[str, Any]
    seeds: list[int] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Strategy, budget and run, as a legend calls it."""
        budget = "" if self.budget == "none" else f", {self.budget}"
        return f"{self.strategy}{budget}" + (f" ({self.run})" if self.run else "")

    @property
    def facet(self) -> tuple[str, str]:
        """Task and model: what entries must share to be compared."""
        return self.task, self.model


def store_path(path: Path) -> Path:
    """Return the store that a path means: itself, or the one in the folder.

    Raises:
        ConfigError: If the folder holds none.
    """
    if not path.is_dir():
        return path
    found = [path / STORE] if (path / STORE).exists() else sorted(path.glob("*.sqlite"))
    if len(found) != 1:
        message = (
            f"{len(found)} run stores in this folder: name one file"
            if found
            else (f"no {STORE} in this folder: is it one that tts bench --out made?")
        )
        raise ConfigError(message, path=str(path))
    return found[0]


def load(paths: Sequence[Path]) -> tuple[list[Run], list[Entry]]:
    """Read runs, their texts left out.

    Args:
        paths: Run stores, or the folders they lie in.

    Raises:
        ConfigError: If one is missing, no run store, or holds no cell.
    """
    runs: list[Run] = []
    kept: list[list[tuple[Cell, list[Result]]]] = []
    for number, path in enumerate(map(store_path, paths)):
        with RunStore(path, read_only=True) as store:
            run = Run(_name(path), path, store.about(), tuple(store.cells()))
            if not run.cells:
                raise ConfigError("this run has no cells yet: nothing to report", path=str(path))
            kept.append([(cell, list(_results(store, cell, number))) for cell in run.cells])
        runs.append(run)
    return runs, _entries(runs, kept)


def _name(path: Path) -> str:
    return path.resolve().parent.name if path.name == STORE else path.stem


def _results(store: RunStore, cell: Cell, run: int) -> Iterator[Result]:
    for row in store.rows(cell):
        draws = tuple(draw.model_copy(update={"text": ""}) for draw in row.draws)
        yield Result(run, cell.seed, row.model_copy(
            update={"draws": draws, "trace": (), "text": ""}
        ))  # fmt: skip


def _entries(runs: Sequence[Run], kept: Sequence[list[tuple[Cell, list[Result]]]]) -> list[Entry]:
    owners: dict[tuple[str, ...], set[int]] = {}
    for number, cells in enumerate(kept):
        for cell, _ in cells:
            owners.setdefault(_place(cell), set()).add(number)
    found: dict[tuple[tuple[str, ...], str], Entry] = {}
    for run, cells in zip(runs, kept, strict=True):
        for cell, results in cells:
            several = len(owners[_place(cell)]) > 1
            name = run.name if several else ""
            entry = found.setdefault(
                (_place(cell), name),
                Entry(*_place(cell), name, cell.is_baseline, cell.settings),
            )
            entry.seeds.append(cell.seed)
            entry.results += results
    return list(found.values())


def _place(cell: Cell) -> tuple[str, str, str, str]:
    return cell.task, cell.model, cell.strategy, cell.budget


def stored_row(path: Path, cell: str, example: str) -> Row | None:
    """Return a row with all its texts; None if there is none."""
    with RunStore(path, read_only=True) as store:
        return store.row(cell, example)
