"""`tts cache stats|clear`: the file of answers that were kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tts.backends import Cache
from tts.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(help="Look into the cache, or empty it.", no_args_is_help=True)
_File = Annotated[
    Path | None, typer.Option("--path", help="The file; without it, the one in your cache folder.")
]


@app.callback()
def _cache() -> None:
    """Look into the cache, or empty it."""


@app.command("stats")
def stats(
    path: _File = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print how many answers there are, their size, and how often they were found."""
    from tts.layers.store import open_store  # sqlite3 is not every command's import

    with open_store(_existing(path)) as store:
        found = store.stats()
    oldest = None if found.oldest is None else datetime.fromtimestamp(found.oldest, UTC)
    figures = {
        "path": str(_existing(path).path),
        "entries": found.entries,
        "bytes": found.bytes,
        "hits": found.hits,
        "misses": found.misses,
        "oldest": oldest and oldest.isoformat(timespec="seconds"),
    }
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        for name, value in figures.items():
            typer.echo(f"{name:<9} {'-' if value is None else value}")


@app.command("clear")
def clear(path: _File = None) -> None:
    """Remove all answers."""
    from tts.layers.store import open_store  # sqlite3 is not every command's import

    with open_store(_existing(path)) as store:
        entries = store.clear()
    typer.echo(f"removed {entries} answers")


def _existing(path: Path | None) -> Cache:
    """Return the settings of a file that is there; looking for one must not make it."""
    from tts.layers.store import store_path

    found = store_path(Cache(path=path))
    if not found.exists():
        raise ConfigError("no cache there: nothing was kept yet", path=str(found))
    return Cache(path=found)
