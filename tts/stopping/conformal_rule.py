"""Stop by a rule whose error was certified on labelled or fully sampled problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from tts.errors import ConfigError
from tts.origins import Origin
from tts.registry import mistake
from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.calibration import Calibration
from tts.stopping.drift import DriftWatch
from tts.stopping.votes import require_iid
from tts.votes import Tally

__all__ = ["Conformal"]


def _loaded(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    try:
        return Calibration.load(value)
    except ConfigError as error:
        raise mistake(Calibration, (), str(error), str(value)) from error


class Conformal(StoppingRule, name="conformal"):
    """Stop where a calibrated rule does, with the guarantee that `tts calibrate` gave it.

    Whatever score the rule goes by, the guarantee comes from the calibration problems alone: it
    holds, on average over problems, for problems, model, prompt and sampling like theirs. A
    pipeline that differs from the calibrated one is refused.

    Source: Angelopoulos et al. 2021, arXiv:2110.01052 (Learn then Test).
    """

    calibration: Annotated[
        Calibration, BeforeValidator(_loaded, json_schema_input_type=str | Path | Calibration)
    ]
    """A file made by `tts calibrate`, or what it holds."""
    allow_mismatch: bool = False
    """Use it for another model, prompt or sampling setting too; nothing is guaranteed then."""
    assume_iid: bool = False
    """Judge also candidates of several samples or models."""

    @property
    def needs(self) -> frozenset[str]:
        """What the calibrated rule needs."""
        return self.calibration.rule.needs

    def objection(self, origin: Callable[[], Origin]) -> str | None:
        """Refuse a pipeline that the calibration was not made for."""
        differs = None if self.allow_mismatch else self.calibration.origin.difference(origin())
        if differs is None:
            return None
        return (
            f"the calibration was made for another pipeline ({differs}): make it anew with tts "
            "calibrate, or set allow_mismatch: true and do without its guarantee"
        )

    def watch(self, seed: int) -> Callable[[int, int], str | None] | None:
        """Warn once when problems take other numbers of samples or tokens than in calibration."""
        if not self.calibration.used:
            return None
        drift = DriftWatch(self.calibration, seed=seed)

        def observe(samples: int, tokens: int) -> str | None:
            if not drift.observe(samples, tokens):
                return None
            return (
                "since calibration the problems have changed: the rule's guarantee may no longer "
                "hold; calibrate anew on problems like these (false alarm at most 0.01)"
            )

        return observe

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        """Stop where the calibrated rule stops."""
        if self.needs_iid:
            require_iid(tally, self.name)
        inner = self.calibration.rule.verdict(tally, remaining).stopped_by
        if inner is None:
            return CONTINUE
        guarantee = None if self.allow_mismatch else self.calibration.guarantee
        return self.stop(f"{inner.rule}: {inner.reason}", guarantee)

    def earliest(self, tally: Tally, remaining: int) -> int:
        """Return what the calibrated rule returns."""
        return self.calibration.rule.earliest(tally, remaining)
