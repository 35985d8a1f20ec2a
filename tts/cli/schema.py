"""`tts schema`: JSON Schemas for editors."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import BaseModel

from tts.cli.registry import report_broken
from tts.evals.suite import Suite
from tts.pipeline import Pipeline
from tts.problem import Solution

__all__ = ["schema"]


class _Kind(StrEnum):
    pipeline = "pipeline"
    solution = "solution"
    suite = "suite"


def schema(kind: Annotated[_Kind, typer.Argument(help="What to describe.")]) -> None:
    """Print a JSON Schema, with every strategy, rule and backend that is installed."""
    models: dict[_Kind, type[BaseModel]] = {
        _Kind.pipeline: Pipeline,
        _Kind.solution: Solution,
        _Kind.suite: Suite,
    }
    report_broken()
    typer.echo(json.dumps(models[kind].model_json_schema(), indent=2))
