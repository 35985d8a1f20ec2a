"""Reasoning Gym's own scores."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from pydantic import Field

from tts.errors import ConfigError
from tts.evals.checkers.base import Checker, CheckFailed
from tts.registry import nearest
from tts.threads import in_thread

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["ReasoningGym", "dataset_of"]

_SIZE: Final = 10_000
_PLACE: Final = ("dataset", "seed", "settings", "index")


class ReasoningGym(Checker, name="reasoning_gym"):
    """The score that the generator of a problem gives an answer (extra `reasoning`).

    For problems of the task of the same name, whose `extra` tells the generator and the place.
    """

    reads_text = False

    least: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The score from which an answer is right."""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How long scoring may take; after that the check has failed, and a thread is left behind."""

    def misfit(self, example: Example) -> str | None:
        """Refuse a problem that does not say where its generator finds it."""
        missing = [name for name in _PLACE if name not in example.extra]
        if not missing:
            return None
        return (
            f"the problem's extra has no {', '.join(missing)}: this checker is for problems of the "
            "task reasoning_gym"
        )

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Ask the generator.

        Raises:
            CheckFailed: If it raises, takes too long or gives no score, or the problem is not one
                of its.
        """
        if answer is None:
            return False
        try:
            with anyio.fail_after(self.seconds):
                score = await in_thread(lambda: _score(answer, example.extra), "checker")
        except Exception as error:  # a package's code: whatever it raises costs a check only
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise CheckFailed(f"reasoning_gym: {reason}") from error
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise CheckFailed(f"reasoning_gym: {score!r} is no score")
        return score >= self.least


def _score(answer: str, place: dict[str, Any]) -> Any:
    made = dataset_of(place)
    return made.score_answer(answer, entry=made[place["index"]])


def dataset_of(place: dict[str, Any]) -> Any:
    """Return a generator with its settings.

    Args:
        place: `dataset`, `seed` and `settings`.

    Raises:
        ConfigError: If the extra is not installed, there is no such generator, or it refuses its
            settings.
    """
    return _dataset(place["dataset"], place["seed"], json.dumps(place["settings"], sort_keys=True))


@lru_cache(maxsize=32)
def _dataset(name: str, seed: int, settings: str) -> Any:
    try:
        from reasoning_gym.factory import DATASETS, create_dataset  # an extra
    except ImportError as error:
        raise ConfigError("it needs pip install tts-orchestrator[reasoning]") from error
    if name not in DATASETS:
        known = tuple(sorted(DATASETS))
        raise ConfigError(f"Reasoning Gym has no generator {name!r}; {nearest(name, known)}")
    try:
        return create_dataset(name, **{"size": _SIZE, **json.loads(settings), "seed": seed})
    except (AssertionError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the generator {name!r} refuses its settings: {reason}") from error
