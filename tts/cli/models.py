"""`tts models show`: what a call of each model goes through, with every setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tts.layers import outline
from tts.pipeline import Pipeline

__all__ = ["app"]

_PARTS = ("sampling", "timeouts")
app = typer.Typer(help="Look at the models of a pipeline.", no_args_is_help=True)


@app.callback()
def _models() -> None:
    """Look at the models of a pipeline."""


@app.command("show")
def show(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what a call of each model goes through, from the outside in. Nothing is opened."""
    loaded = Pipeline.load(pipeline)
    outlines = {
        name: outline(model, loaded.budget, loaded.concurrency)
        for name, model in loaded.models.items()
    }
    if as_json:
        described = {
            name: [{"layer": layer, "settings": settings} for layer, settings in layers]
            for name, layers in outlines.items()
        }
        typer.echo(json.dumps(described))
        return
    for name, layers in outlines.items():
        typer.echo(name)
        for layer, settings in layers:
            typer.echo(f"  {layer:<9} {_brief(settings)}".rstrip())
            if layer == "backend":
                _tell_apart(settings or {})


def _tell_apart(settings: dict[str, Any]) -> None:
    """Print what is worth a line of its own."""
    can, price = settings["capabilities"], settings["price"]
    lines = {part: _brief(settings[part]) for part in _PARTS if part in settings}
    lines["price"] = "unknown" if price is None else f"{_brief(price)}  dollars per million tokens"
    lines["can"] = "found out when it is opened" if can is None else _abilities(can)
    for name, text in lines.items():
        typer.echo(f"  {name:<9} {text}")


def _abilities(can: dict[str, Any]) -> str:
    named = (name if value is True else f"{name}: {value}" for name, value in can.items() if value)
    return "  ".join(named)


def _brief(settings: dict[str, Any] | None) -> str:
    if settings is None:
        return "off"
    apart = (*_PARTS, "price", "capabilities") if "capabilities" in settings else ()
    shown = ((key, value) for key, value in settings.items() if key not in apart)
    return "  ".join(f"{key}: {json.dumps(value)}" for key, value in shown)
