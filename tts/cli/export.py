"""`tts export`: a run in the files of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


class _Form(StrEnum):
    lm_eval = "lm-eval"


def export(
    run: Annotated[Path, typer.Argument(help="A folder of `tts bench`, or its run.sqlite.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    form: Annotated[
        _Form, typer.Option("--format", help="Whose files: lm-evaluation-harness.")
    ] = _Form.lm_eval,
) -> None:
    """Write the results of a bench in the files of another tool."""
    from tts.evals.lm_eval import export_lm_eval
    from tts.evals.store import RunStore

    path = run / "run.sqlite" if run.is_dir() else run
    with RunStore(path, read_only=True) as store:
        for file in export_lm_eval(store, out):
            typer.echo(str(file))
