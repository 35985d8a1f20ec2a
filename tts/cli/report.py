"""`tts report` and `tts view`: what a bench found, as a page, plots, tables, or live."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from tts.errors import ConfigError, TTSError
from tts.output_files import write

__all__ = ["report", "view"]

_Runs = Annotated[
    list[Path], typer.Argument(help="Run stores, or folders of tts bench.", show_default=False)
]


def report(
    runs: _Runs,
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; report.html if nothing else is asked.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the charts: .png, .svg or .pdf (extra `plot`).")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all results: .csv, .json or .parquet (extra `parquet`)."),
    ] = None,
    text_limit: Annotated[
        float,
        typer.Option(
            help="Megabytes of candidates, prompts and traces that the page may hold. 0: no "
            "text of problems or models, so no questions, answers, errors or prompts either."
        ),
    ] = 8.0,
    title: Annotated[str | None, typer.Option(help="What the page is called.")] = None,
) -> None:
    """Show what a bench found: a page to pass on, plots, tables."""
    from tts.evals.report import contents, load, page  # numpy: other commands start without it
    from tts.evals.report import export as write_table
    from tts.evals.report import plot as draw

    if out is None and plot is None and export is None:
        out = Path("report.html")
    _check(out, text_limit)
    loaded, entries = load(runs)
    if export is not None:
        typer.echo(f"{write_table(loaded, entries, export)} results written to {export}")
    if out is None and plot is None:
        return
    kept = int(text_limit * 1e6) if out is not None else 0
    found = contents(
        loaded,
        entries,
        text_bytes=kept,
        questions=kept > 0,
        replay_rules=out is not None,
        title=title,
    )
    if plot is not None:
        draw(found.summary, plot)
        typer.echo(f"charts drawn to {plot}")
    if out is not None:
        write(out, page(found))
        _tell(out, found.summary["left_out"]["details"])


def _check(out: Path | None, text_limit: float) -> None:
    if not 0.0 <= text_limit < math.inf:
        raise ConfigError(f"--text-limit is a number of megabytes from 0, got {text_limit:g}")
    if out is not None and out.suffix != ".html":
        raise ConfigError(
            f"--out writes a page: {out} must end in .html; tables are written by --export "
            "(.csv, .json, .parquet), charts by --plot (.png, .svg, .pdf)"
        )


def _tell(out: Path, left: int) -> None:
    less = f"; texts of {left} results left out (--text-limit)" if left else ""
    typer.echo(f"report written to {out}{less}")


def view(
    runs: _Runs,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8321,
    host: Annotated[
        str, typer.Option(help="Address to serve on; others than loopback show your runs to them.")
    ] = "127.0.0.1",
) -> None:
    """Serve the report of a run, live while it runs. Ctrl-C ends it."""
    import anyio

    from tts.evals.report.live import Live, serve

    async def serving() -> None:
        async with anyio.create_task_group() as group:
            address = await group.start(serve, Live(runs, host), port)
            typer.echo(f"{address}  (Ctrl-C ends)")

    try:
        anyio.run(serving)
    except* TTSError as group:
        raise group.exceptions[0] from None
