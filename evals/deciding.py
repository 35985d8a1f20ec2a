"""What decides the rows of a bench: results with the same settings are one another's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tts.backends.base import Price, Provider
from tts.evals.tasks.base import Task
from tts.pipeline import Pipeline
from tts.registry import Component

__all__ = ["deciding"]


def deciding(task: Task, pipeline: Pipeline) -> dict[str, Any]:
    """Return all that decides a cell's rows: not how many there are, nor how calls are carried."""
    models = {
        name: {
            **provider.identity(),
            **_priced(provider),
            "sampling": provider.sampling.model_dump(mode="json"),
        }
        for name, provider in pipeline.models.items()
    }
    chosen = _portable(task, task.settings())
    del chosen["problems"]
    return {
        "task": chosen,
        "models": {name: _portable(pipeline.models[name], own) for name, own in models.items()},
        "strategy": pipeline.strategy.settings(),
        "roles": pipeline.roles,
        "budget": pipeline.budget.model_dump(mode="json", exclude_none=True),
        "prompts": pipeline.prompts,
    }


def _priced(provider: Provider) -> dict[str, Any]:
    """Return the price that was set: dollars of rows are booked with it."""
    price = getattr(provider, "price", None)
    return {"price": price.model_dump(mode="json")} if isinstance(price, Price) else {}


def _portable(component: Component, settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as anybody may see them: of a path its last name, and a digest of the rest.

    They are in reports, and a path tells whose machine it was.
    """
    shown = dict(settings)
    for name, value in component:
        if name in shown and isinstance(value, Path):
            which = hashlib.sha256(str(value).encode()).hexdigest()[:8]
            shown[name] = f"{value.name} ({which})"
    return shown
