"""`tts plan`: where more samples stop paying, told from samples that were drawn."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tts.forecast import Plan

__all__ = ["plan"]


class Metric(StrEnum):
    """What is measured."""

    coverage = "coverage"
    vote = "vote"


class Mode(StrEnum):
    """What is fitted."""

    single = "single"
    beta = "beta"
    two_state = "two_state"


def plan(
    results: Annotated[
        Path, typer.Argument(help="JSON lines, a problem each.", show_default=False)
    ],
    metric: Annotated[
        Metric, typer.Option(help="coverage: any sample is right; vote: the plain vote is.")
    ] = Metric.coverage,
    mode: Annotated[
        Mode, typer.Option(help="single: one rate; beta: a rate a problem; two_state: rounds.")
    ] = Mode.single,
    epsilon: Annotated[
        float, typer.Option(help="The gain of one more sample that no longer pays.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say where more samples stop paying."""
    from tts.forecast import make_plan, read_results  # numpy: other commands start without it

    made = make_plan(
        read_results(results), metric=metric.value, mode=mode.value, epsilon=epsilon, seed=seed
    )
    if as_json:
        typer.echo(json.dumps(asdict(made)))
    else:
        _show(made)


def _show(made: Plan) -> None:
    typer.echo(
        f"{made.problems} problems, {made.samples} samples each; {made.metric}, {made.mode} fit"
    )
    typer.echo("  samples  measured  fitted")
    for size, measured, fitted in zip(made.sizes, made.measured, made.fitted, strict=True):
        typer.echo(f"  {size:7d}  {measured:8.3f}  {fitted:6.3f}")
    for name, estimate in made.parameters.items():
        typer.echo(f"{name} {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")
    found = made.enough
    typer.echo(
        f"from {found.value:.0f} samples on [{found.low:.0f}, {found.high:.0f}] one more brings "
        f"at most {made.epsilon:g}"
    )
    for warning in made.warnings:
        typer.echo(f"note: {warning}")
