"""`tts tasks`: sets of problems with right answers, their settings, and examples of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from tts.cli.registry import list_or_show
from tts.cli.words import plain
from tts.errors import ConfigError
from tts.evals.checkers.base import made_for_show
from tts.evals.tasks import Example, Task
from tts.mistakes import describe

__all__ = ["tasks"]


class _Split(StrEnum):
    develop = "develop"
    test = "test"


def tasks(
    name: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show: Annotated[
        int | None, typer.Option(min=1, help="Print so many examples of the task.")
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(min=1, help="Print so many as JSON lines, for calibrate --data and run."),
    ] = None,
    split: Annotated[
        _Split | None, typer.Option(help="Of which half; develop is for choosing and calibrating.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--with", help="A setting of the problems, such as level=5; repeatable."),
    ] = None,
) -> None:
    """Sets of problems with right answers. With NAME, its settings; with --show, examples."""
    if show is None and lines is None:
        if setting or split:
            raise ConfigError("--with and --split have no use without --show or --lines")
        list_or_show(Task, name, as_json=as_json)
        return
    if name is None:
        raise ConfigError("--show and --lines need the name of a task; `tts tasks` lists them")
    if lines is not None and (show is not None or as_json):
        raise ConfigError("--lines prints JSON lines: leave out --show and --json")
    most = lines or show
    with made_for_show():  # nothing is judged here
        task = _task(name, setting or [], split, most)
        shown, judge = task.examples()[:most], task.checker.name
    if lines is not None:
        _print_lines(task, shown, judge)
    elif as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in shown], indent=2))
    else:
        for each in shown:
            _print(each)


def _print_lines(task: Task, shown: Sequence[Example], judge: str) -> None:
    """Print problems for other commands, and beside them what these cannot read from a file."""
    for each in shown:
        row = {"id": each.id, "question": str(each.problem), "answer": each.answer}
        typer.echo(json.dumps(row))  # in ASCII: no text steers a terminal
    form = shown[0].problem.answer_format
    is_kind = form.pattern is None or form.kind == "program"  # whose pattern is each problem's own
    read = form.kind if is_kind else f"{{pattern: {form.pattern!r}}}"
    typer.echo(
        f"tts: {len(shown)} problems of {plain(task.title)}, split {task.split}; a pipeline for "
        f"them says answer: {read}; bench judges them by {judge}",
        err=True,
    )


def _task(name: str, settings: list[str], split: _Split | None, most: int | None) -> Task:
    given: dict[str, Any] = {"problems": most}
    if split is not None:
        given["split"] = split.value
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--with {setting!r}: write setting=value")
        try:
            given[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--with {setting!r}: the value is not YAML") from error
    member = Task.named(name)
    try:
        return member.model_validate(given)
    except ValidationError as error:
        raise ConfigError(describe(error, member, given)) from error


def _print(example: Example) -> None:
    typer.echo(f"--- {plain(example.id)}")
    for line in str(example.problem).splitlines():
        typer.echo(" " * (len(line) - len(line.lstrip(" "))) + plain(line))
    typer.echo(f"right answer: {plain(example.answer)}")
    if example.extra:
        typer.echo(plain(json.dumps(example.extra, ensure_ascii=False)))
