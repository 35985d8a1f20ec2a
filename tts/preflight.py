"""What must hold of a pipeline once its models are open."""

from __future__ import annotations

from collections.abc import Mapping

from tts.backends.base import Backend
from tts.pipeline import Pipeline
from tts.stopping import StoppingRule
from tts.strategy import Strategy

__all__ = ["check_pipeline"]


def check_pipeline(pipeline: Pipeline, backends: Mapping[str, Backend]) -> None:
    """Refuse a pipeline that cannot work, before the first call is paid for.

    Args:
        pipeline: What is to be solved with.
        backends: Its open models, by name.

    Raises:
        ConfigError: If a calibration is another pipeline's, a model lacks an ability that a role
            needs, or a budget in dollars has no price.
    """
    for part in (pipeline.strategy, *pipeline.strategy.parts()):
        if isinstance(part, StoppingRule | Strategy):
            objection = part.objection(pipeline.origin)
            if objection is not None:
                key = "stop" if isinstance(part, StoppingRule) else "calibration"
                raise pipeline.mistake(objection, "strategy", key)
    first = next(iter(backends))
    for role, abilities in pipeline.strategy.needs().items():
        name = pipeline.roles.get(role, first)
        for ability in sorted(abilities):
            if not getattr(backends[name].capabilities, ability):
                raise pipeline.mistake(
                    f"{pipeline.strategy.name} needs {ability!r} of the model that plays {role!r}, "
                    f"and {backends[name].name} has it not: give that role another model",
                    "models",
                    name,
                )
    for name, backend in backends.items():
        if pipeline.budget.usd is not None and backend.price is None:
            raise pipeline.mistake(
                f"a budget in dollars needs the price of {backend.name}: "
                "set price: {input: ..., output: ...}, dollars per million tokens",
                "models",
                name,
            )
