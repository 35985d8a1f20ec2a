"""How the calls of a plan are shown: live, as lines, and as a chart of who ran when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tts.cli.words import plain
from tts.executed import Executed, Step

__all__ = ["chart", "event_line", "step_lines", "steps_table"]

_WIDTH = 48
_LONGEST = 60
_MOST_LIVE = 24
_COLOURS = {
    "pending": "dim",
    "ready": "dim",
    "running": "yellow",
    "succeeded": "green",
    "skipped": "dim",
}
_WORDS = {"pending": "planned", "succeeded": "done", "timed_out": "timed out"}


def _short(text: str, longest: int = _LONGEST) -> str:
    line = plain(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _word(state: str) -> str:
    return _WORDS.get(state, state)


def _came_to(step: Step) -> str:
    if step.state == "succeeded":
        return f"= {_short(step.result)}"
    return _short(step.error)


def steps_table(steps: Sequence[Step]) -> Table:
    """Return the calls as they stand, for a live display; of many the latest."""
    table = Table.grid(padding=(0, 2))
    for step in steps[-_MOST_LIVE:]:
        state = Text(_word(step.state), style=_COLOURS.get(step.state, "red"))
        table.add_row(f"  {step.id}.", Text(_short(step.text)), state, Text(_came_to(step)))
    return table


def step_lines(executed: Executed) -> list[str]:
    """Return the calls as they ended, one a line, and what they took beside what was possible."""
    lines = [
        f"  {step.id}. {_short(step.text)}  {_word(step.state)}  {_came_to(step)}".rstrip()
        for step in executed.steps
    ]
    done = sum(step.state == "succeeded" for step in executed.steps)
    lines.append(
        f"calls: {done} of {len(executed.steps)} done   {executed.work:.2f} s of work in "
        f"{executed.makespan:.2f} s   possible {executed.lower_bound:.2f} s"
    )
    return lines


def chart(record: Mapping[str, Any]) -> list[str]:
    """Return a graph's record as lines of a Gantt chart, in rich's markup.

    A dot is a call that waits for its inputs or a slot, a block one that runs.
    """
    steps = [Step.model_validate(step) for step in record["steps"]]
    end = max((step.finished or 0.0 for step in steps), default=0.0)
    scale = _WIDTH / end if end > 0 else 0.0
    name = max((len(_short(step.text, 28)) for step in steps), default=0)
    number = max((len(str(step.id)) for step in steps), default=1)
    lines = []
    for step in steps:
        finished = step.finished or end
        waits = round(step.emitted * scale)
        runs = round((finished if step.started is None else step.started) * scale)
        ends = max(runs + (step.started is not None), round(finished * scale))
        bar = " " * waits + "·" * (runs - waits) + "█" * (ends - runs)
        colour = _COLOURS.get(step.state, "red")
        same = f", as {step.same_as}" if step.same_as is not None else ""
        held = f", held the event loop {step.held:.2f} s" if step.held > 0.1 else ""
        text = escape(f"{step.id:>{number}}. {_short(step.text, 28):<{name}}")
        lines.append(
            f"{text} |[{colour}]{bar:<{_WIDTH}}[/]| {step.seconds:.3f} s  "
            f"[{colour}]{_word(step.state)}[/]{same}{held}"
        )
    lines.append(
        f"makespan {record['makespan']:.3f} s  streamed ideal {record['streamed_ideal']:.3f} s  "
        f"lower bound {record['lower_bound']:.3f} s  overhead {record['overhead']:.3f} s"
    )
    return lines


def event_line(record: Mapping[str, Any]) -> str:
    """Return an event of a plan as a line, in rich's markup."""
    event = record["event"]
    if event == "tool":
        seconds = record["end"] - record["start"]
        colour = "green" if record["outcome"] == "ok" else "red"
        return f"{_safe(record['tool'])}  {seconds:.3f} s  [{colour}]{record['outcome']}[/]"
    if event == "plan_problem":
        colour = "red" if record["is_fatal"] else "dim"
        where, what = _safe(record["reason"]), _safe(record["text"])
        return f"[{colour}]plan, line {record['line']}[/]: {where}: {what}"
    if event == "plan_repaired":
        return (
            f"[yellow]plan, line {record['line']}[/]: its end was guessed: {_safe(record['text'])}"
        )
    if event == "replan":
        return f"[yellow]plan again[/]: {_safe(record['missing'])}"
    said = "  ".join(
        f"{key} {_safe(value)}"
        for key, value in record.items()
        if key not in {"event", "trace_id", "span", "at"}
    )
    return f"{_safe(event)}  {said}"


def _safe(text: object) -> str:
    return escape(_short(str(text), 100))
