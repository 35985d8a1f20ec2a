"""`tts strategies`, `tts backends`, `tts rules`, ...: what is installed, with its settings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tts.backends.base import Provider
from tts.evals.checkers import Checker
from tts.frozen import Frozen
from tts.registry import Component
from tts.stopping import StoppingRule
from tts.strategy import Strategy
from tts.toolboxes import Toolbox
from tts.verifiers import Verifier
from tts.votes import Vote
from tts.workspaces import Workspace

__all__ = ["add_to", "list_or_show", "report_broken"]

_FAMILIES: dict[str, tuple[type[Component], str]] = {
    "strategies": (Strategy, "Ways to spend compute on a problem."),
    "backends": (Provider, "Models that can be called."),
    "rules": (StoppingRule, "When to stop sampling."),
    "votes": (Vote, "How candidates are weighed."),
    "verifiers": (Verifier, "How candidates are scored."),
    "workspaces": (Workspace, "What one round of drafts hands to the next."),
    "tools": (Toolbox, "Functions that strategies may call."),
    "checkers": (Checker, "How the answers of a task are judged."),
}


def add_to(app: typer.Typer) -> None:
    """Add one command a family."""
    for name, (family, summary) in _FAMILIES.items():
        app.command(name, help=f"{summary} With NAME, its settings.")(_command(family))


def report_broken(*families: type[Component]) -> None:
    """Print one line for each installed package that cannot be used, by default of all families."""
    for family in families or [family for family, _ in _FAMILIES.values()]:
        for error in family.survey()[1]:
            typer.echo(f"tts: {error}", err=True)


def _command(family: type[Component]) -> Callable[..., None]:
    def command(
        name: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        list_or_show(family, name, as_json=as_json)

    return command


def list_or_show(family: type[Component], name: str | None, *, as_json: bool) -> None:
    """Print a family's members, or one with its settings."""
    members = [family.named(name)] if name else family.survey()[0]
    if not name:
        report_broken(family)
    if as_json:
        described = [_described(member) for member in members]
        typer.echo(json.dumps(described[0] if name else described, indent=2))
    elif name:
        _show(members[0])
    else:
        width = max((len(member.name) for member in members), default=0)
        for member in members:
            typer.echo(f"{member.name:<{width}}  {_summary(member)}")


def _summary(member: type[Component]) -> str:
    return (inspect.getdoc(member) or "").partition("\n")[0]


def _described(member: type[Component]) -> dict[str, Any]:
    return {
        "name": member.name,
        "summary": _summary(member),
        "schema": member.model_json_schema(),
    }


def _show(member: type[Component]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{member.name}\n\n{inspect.getdoc(member)}\n", markup=False)
    if not member.model_fields:
        console.print("No settings.")
        return
    table = Table("setting", "type", "default", "meaning", box=None, pad_edge=False)
    described = member.model_json_schema().get("properties", {})
    for name, field in member.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else _brief(field.get_default(call_default_factory=True))
        )
        schema = described.get(name, {})
        table.add_row(name, _type(schema), default, schema.get("description", ""))
    console.print(table)


def _brief(value: object) -> str:
    if isinstance(value, Component):
        return value.name
    if isinstance(value, Frozen):
        return ", ".join(f"{name}: {_brief(each)}" for name, each in value)
    return json.dumps(value, default=repr)


def _type(schema: dict[str, Any]) -> str:
    """A setting's type in a few words."""
    if "anyOf" in schema:
        first = schema["anyOf"][0]
        if "enum" in first:
            return " | ".join(dict.fromkeys([*first["enum"], *_choices(schema["anyOf"][1:])]))
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return str(schema.get("type", "any"))


def _choices(options: list[dict[str, Any]]) -> list[str]:
    """The names of a family's members, those too that need settings."""
    firsts = (list(option.get("properties", {}).values())[:1] for option in options)
    return [key["const"] for keys in firsts for key in keys if "const" in key]
