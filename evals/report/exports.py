"""Results as flat tables, for a notebook or a spreadsheet: CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError
from tts.evals.report.runs import Entry, Result, Run
from tts.output_files import prepare

__all__ = ["COLUMNS", "export", "table"]

COLUMNS: Final = {
    "run": str, "task": str, "model": str, "strategy": str, "budget": str, "seed": int,
    "is_baseline": bool, "cell": str, "example": str, "problem": str, "right_answer": str,
    "status": str, "answer": str, "right": bool, "error": str, "check_failure": str,
    "stopped_by": str, "samples": int, "calls": int, "cancelled_calls": int, "cached_calls": int,
    "prompt_tokens": int, "completion_tokens": int, "total_tokens": int, "critical_tokens": int,
    "critical_completion_tokens": int, "critical_seconds": float, "cost_usd": float,
    "wall_seconds": float, "parse_failures": int, "failed_calls": int, "replayed_calls": int,
    "earlier_tries": int, "lost_tokens": int, "lost_usd": float, "finished_at": str, "extra": str,
}  # fmt: skip
"""Columns by name with the type of their values; each may be missing. `extra` is JSON."""

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Signs that begin a formula, full-width ones too; spreadsheets pass over blanks before them."""
_BREAKS: Final = ("\t", "\r", "\n")


def table(runs: Sequence[Run], entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return a line for each solved problem, with the columns of `COLUMNS`."""
    return [_line(runs[result.run], entry, result) for entry in entries for result in entry.results]


def _line(run: Run, entry: Entry, result: Result) -> dict[str, Any]:
    row = result.row
    own = {name: getattr(row, name) for name in COLUMNS if hasattr(row, name)}
    usage = {name: value for name, value in row.costs.model_dump().items() if name in COLUMNS}
    line = {
        **own,
        **usage,
        "run": run.name,
        "task": entry.task,
        "model": entry.summary.model,
        "strategy": entry.summary.strategy,
        "budget": entry.summary.budget,
        "seed": result.seed,
        "is_baseline": entry.summary.is_baseline,
        "stopped_by": None if row.stopped_by is None else row.stopped_by.rule,
        "samples": len(row.draws),
        "earlier_tries": row.earlier.tries,
        "lost_tokens": row.earlier.lost.total_tokens,
        "lost_usd": row.earlier.lost.cost_usd,
        "extra": json.dumps(row.extra, ensure_ascii=False, sort_keys=True),
    }
    return {name: line[name] for name in COLUMNS}


def export(runs: Sequence[Run], entries: Sequence[Entry], path: Path) -> int:
    """Write all results to a file, by its ending, and return their number.

    A CSV keeps numbers plain and writes nothing for what is missing; a text that a spreadsheet
    would take for a formula gets an apostrophe before it.

    Raises:
        ConfigError: If the ending is none of `.csv`, `.parquet` and `.json`, the extra `parquet`
            is missing, or the file cannot be written.
    """
    write = _WRITERS.get(path.suffix)
    if write is None:
        raise ConfigError(
            f"--export writes .csv, .parquet or .json, and this ends in {path.suffix or 'nothing'}",
            path=str(path),
        )
    lines = table(runs, entries)
    prepare(path)
    try:
        write(lines, path)
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror or error}", path=str(path)) from error
    return len(lines)


def _write_csv(lines: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not _is_number(value):
        risky = value.startswith(_BREAKS) or value.lstrip().startswith(_FORMULA)
        return "'" + value if risky else value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_json(lines: list[dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(lines, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_parquet(lines: list[dict[str, Any]], path: Path) -> None:
    try:
        import pyarrow as pa  # a heavy extra
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            "Parquet needs the extra `parquet`: pip install 'tts-orchestrator[parquet]'"
        ) from error
    types = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    parquet.write_table(pa.Table.from_pylist(lines, schema), path)


_WRITERS: Final[dict[str, Callable[[list[dict[str, Any]], Path], None]]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}
