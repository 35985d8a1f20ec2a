"""`tts models show`: what a call of each model goes through, with every setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tts.layers import outline
from tts.pipeline import Pipeline

__all__ = ["app"]

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
    outlines = {name: outline(loaded.models[name], loaded.budget) for name in loaded.models}
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


def _brief(settings: dict[str, object] | None) -> str:
    if settings is None:
        return "off"
    return "  ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())
