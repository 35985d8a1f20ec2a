"""`tts trace show`: a trace file as a tree with both costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from tts.cli.plans import chart, event_line
from tts.cli.words import plain
from tts.errors import ConfigError
from tts.pipeline import read_text

__all__ = ["app"]

app = typer.Typer(help="Look into trace files.", no_args_is_help=True)
_Record = dict[str, Any]


@app.callback()
def _traces() -> None:
    """Look into trace files."""


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A file of `tts run --trace`.")],
) -> None:
    """Print each run as a tree: spans, calls and stops, with total and critical-path tokens."""
    runs: dict[str, list[_Record]] = {}
    for record in _records(file):
        runs.setdefault(record["trace_id"], []).append(record)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=400)  # a pipe has no edge to wrap at
    try:
        trees = [_tree(trace_id, records) for trace_id, records in runs.items()]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"not a trace: {error!r}", path=str(file)) from error
    for tree in trees:
        console.print(tree)


def _safe(text: object) -> str:
    return escape(plain(str(text)))


def _records(file: Path) -> list[_Record]:
    records = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError("not JSON: not a trace?", path=str(file), line=number) from error
        if not isinstance(record, dict) or not {"event", "trace_id"} <= record.keys():
            raise ConfigError("not a trace record", path=str(file), line=number)
        records.append(record)
    if not records:
        raise ConfigError("the trace is empty", path=str(file))
    return records


def _tree(trace_id: str, records: list[_Record]) -> Tree:
    head = next((r for r in records if r["event"] == "run"), {})
    end = next((r for r in records if r["event"] == "end"), None)
    name = (head.get("strategy") or {}).get("use", "run")
    tree = Tree(f"[bold]{_safe(name)}[/] {trace_id[:8]}  {_ending(end)}")
    for probe in (r for r in records if r["event"] == "probe"):
        tokens = f"{probe['prompt_tokens']}+{probe['completion_tokens']} tokens"
        tree.add(f"probe of {_safe(probe['model'])}, an unknown server  {tokens}")
    nodes: dict[str, Tree] = {}
    for path in sorted(_paths(records), key=_natural):
        nodes[path] = _parent(nodes, path, tree).add(_span_line(path, records))
        inner = [r for r in records if r.get("span") == path]
        for record in sorted(inner, key=_place):
            for line in _lines(record):
                nodes[path].add(line)
    return tree


def _place(record: _Record) -> tuple[int, float]:
    """Sort key within a span: calls by ticket, a plan's events in time, then stops and charts."""
    late = {"call": 0, "stop": 2, "graph": 3}.get(record["event"], 1)
    when = next((record[key] for key in ("ticket", "at", "start") if key in record), 0)
    return late, float(when)


def _paths(records: list[_Record]) -> set[str]:
    spans = {r["path"] for r in records if r["event"] == "span"}
    return spans | {r["span"] for r in records if "span" in r}


def _natural(path: str) -> list[tuple[str, int]]:
    """Sort key under which `sample10` follows `sample9`."""
    words = []
    for part in path.split("/"):
        name = part.rstrip("0123456789")
        words.append((name, int(part[len(name) :] or 0)))
    return words


def _parent(nodes: dict[str, Tree], path: str, tree: Tree) -> Tree:
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in nodes:
            return nodes[path]
    return tree


def _span_line(path: str, records: list[_Record]) -> str:
    calls = [
        record
        for record in records
        if record["event"] == "call" and f"{record['span']}/".startswith(f"{path}/")
    ]
    total = sum(call["prompt_tokens"] + call["completion_tokens"] for call in calls)
    span = next((r for r in records if r["event"] == "span" and r["path"] == path), None)
    critical = f"  critical path {span['critical_tokens']}" if span else "  [red]unfinished[/]"
    count = sum(call.get("n", 1) for call in calls)
    return f"[cyan]{_safe(path)}[/]  {count} calls  total {total}{critical}"


def _lines(record: _Record) -> list[str]:
    if record["event"] == "graph":
        return chart(record)
    return [_line(record) if record["event"] in {"call", "stop"} else event_line(record)]


def _line(record: _Record) -> str:
    if record["event"] == "stop":
        promise = record["guarantee"] or "no guarantee"
        why = _safe(f"{record['reason']} ({promise})")
        return f"[yellow]stopped by {_safe(record['rule'])}[/]: {why}"
    seconds = record["end"] - record["start"]
    tokens = f"{record['prompt_tokens']}+{record['completion_tokens']} tokens"
    model = _safe(record.get("name", record["model"]))
    colour = "green" if record["outcome"] in {"stop", "length"} else "red"
    return (
        f"#{record['ticket']} {_safe(record['role'])} on {model}  {tokens}  "
        f"{seconds:.3f} s  [{colour}]{_safe(record['outcome'])}[/]{_carriage(record)}"
    )


def _carriage(record: _Record) -> str:
    """Say what a call's layers did, if it was more than passing it on."""
    if record.get("cached"):
        return "  cached"
    kept = f"  kept, took {record['seconds']:.2f} s when made" if "seconds" in record else ""
    attempts = record.get("attempts", 1)
    hedged = ", hedged" if record.get("hedged") else ""
    several = f"  {record['n']} in one request" if "n" in record else ""
    over = f"  [red]{record['overshoot']} tokens over[/]" if "overshoot" in record else ""
    return kept + several + (f"  sent {attempts} times{hedged}" if attempts > 1 else "") + over


def _ending(end: _Record | None) -> str:
    if end is None:
        return "[red]unfinished[/]"
    usage, what = end["usage"], end.get("error") or end["answer"]
    limit = end.get("exhausted")
    known = usage.get("critical_seconds")  # a trace of an older version does not tell
    waited = "" if known is None else f" in {known:.2f} s"
    why = f" ({limit['spent']:.4g} of {limit['limit']:g} {limit['kind']})" if limit else ""
    return (
        f"{end['status']}{why}: {_safe(what)}  total {usage['total_tokens']}  "
        f"critical path {usage['critical_tokens']}{waited}  {usage['wall_seconds']:.2f} s"
    )
