"""`tts tasks`: sets of problems with right answers, their settings, and examples of them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from tts.cli.registry import list_or_show
from tts.cli.words import plain
from tts.errors import ConfigError
from tts.evals.tasks import Example, Task

__all__ = ["tasks"]


def tasks(
    name: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show: Annotated[
        int | None, typer.Option(min=1, help="Print so many examples of the task.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--with", help="A setting for --show, such as level=5; may be repeated."),
    ] = None,
) -> None:
    """Sets of problems with right answers. With NAME, its settings; with --show, examples."""
    if show is None:
        if setting:
            raise ConfigError("--with has no use without --show")
        list_or_show(Task, name, as_json=as_json)
        return
    if name is None:
        raise ConfigError("--show needs the name of a task; `tts tasks` lists them")
    shown = _task(name, setting or []).examples()[:show]
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in shown], indent=2))
        return
    for each in shown:
        _print(each)


def _task(name: str, settings: list[str]) -> Task:
    given: dict[str, Any] = {}
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
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _print(example: Example) -> None:
    typer.echo(f"--- {plain(example.id)}")
    for line in str(example.problem).splitlines():
        typer.echo(" " * (len(line) - len(line.lstrip(" "))) + plain(line))
    typer.echo(f"right answer: {plain(example.answer)}")
    if example.extra:
        typer.echo(plain(json.dumps(example.extra, ensure_ascii=False)))
