"""A bridge to Reasoning Gym: about a hundred generators, with checkers of their own."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from tts.answers import AnswerFormat
from tts.errors import ConfigError
from tts.evals.checkers.base import Checker
from tts.evals.checkers.gym import ReasoningGym as GymChecker
from tts.evals.checkers.gym import dataset_of
from tts.evals.tasks.base import Example, Task
from tts.evals.tasks.drawn import identity, split_of
from tts.problem import Problem

__all__ = ["ReasoningGym"]

_COUNT: Final = 100
_MISSES: Final = 3000


class ReasoningGym(Task, name="reasoning_gym"):
    """Problems of a generator of Reasoning Gym (extra `reasoning`), judged by its `score_answer`.

    Source: Stojanovski et al. 2025, arXiv:2505.24760.
    """

    dataset: str
    """The generator's name, such as `leg_counting`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Its own settings, besides seed and size."""
    least: float = Field(default=1.0, gt=0, le=1)
    """The score from which an answer is right; generators give less for what is nearly so."""
    answer_format: AnswerFormat = AnswerFormat(kind="text")
    """How the answer is found in a completion."""

    @property
    def title(self) -> str:
        """The name with the generator's."""
        return f"reasoning_gym {self.dataset}"

    @property
    def checker(self) -> Checker:
        """The generator's own."""
        return GymChecker(least=self.least)

    def examples(self) -> tuple[Example, ...]:
        """Return the problems, no two the same; 100 where `problems` is None.

        Raises:
            ConfigError: If the extra is not installed, the generator is unknown or refuses its
                settings, or it has not so many different problems.
        """
        place = {"dataset": self.dataset, "seed": self.seed, "settings": self.options}
        made, found, misses = dataset_of(place), dict[str, Example](), 0
        for index in range(len(made)):
            if len(found) == (self.problems or _COUNT) or misses > _MISSES:
                break
            entry = made[index]
            id_ = identity(self.dataset, entry["question"])
            if split_of(id_) != self.split or id_ in found:
                misses += 1
                continue
            found[id_] = Example(
                id=id_,
                problem=Problem(text=entry["question"], answer_format=self.answer_format),
                answer=str(entry["answer"] or ""),
                extra={**place, "index": index},
            )
        if len(found) < (self.problems or _COUNT):
            raise ConfigError(
                f"{self.dataset!r} has hardly more than {len(found)} different problems in the "
                f"split {self.split!r} with these settings: ask for fewer"
            )
        return tuple(found.values())
