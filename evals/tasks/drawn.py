"""Base of the tasks whose problems are drawn, without an end, and split by what they say."""

from __future__ import annotations

import hashlib
import random
from abc import abstractmethod
from functools import lru_cache
from typing import Final

from tts.errors import ConfigError
from tts.evals.tasks.base import Example, Split, Task

__all__ = ["DrawnTask", "identity", "split_of"]

_COUNT: Final = 100
_MISSES: Final = 3000


def identity(*content: object) -> str:
    """Return an id that the same content has in every run: 12 hexadecimal digits."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def split_of(id_: str, share: float = 0.5) -> Split:
    """Return the split that a problem belongs to, whatever the seed it was drawn with.

    Args:
        id_: What `identity` makes of the problem.
        share: Of all problems, what `develop` has; in [0, 1].
    """
    place = int.from_bytes(hashlib.sha256(f"split:{id_}".encode()).digest()[:4])
    return "develop" if place < share * 2**32 else "test"


class DrawnTask(Task, name="drawn"):
    """Problems drawn from a seed. A member says how to draw one.

    A problem belongs to a split by a digest of what it says, or of the part of it that no two
    splits may share, so that the two never meet; and a longer list begins with the shorter one.
    """

    @abstractmethod
    def draw(self, rng: random.Random) -> Example:
        """Draw a problem; its id is the `identity` of what it says apart from wording."""

    @property
    def series(self) -> str:
        """What the generator is seeded with besides the seed: all that changes the problems."""
        return self.title

    def split_key(self, example: Example) -> str:
        """Return what decides a problem's split: problems of one key are in one split.

        By default the id, so that different problems are parted at random.
        """
        return example.id

    def in_split(self, key: str) -> bool:
        """Return whether problems of a split key belong to the task's split."""
        return split_of(key) == self.split

    def examples(self) -> tuple[Example, ...]:
        """Return the problems, no two the same; 100 where `problems` is None.

        Raises:
            ConfigError: If there are not so many different ones.
        """
        return _drawn(self)


@lru_cache(maxsize=64)  # a suite asks for a task's problems once a cell
def _drawn(task: DrawnTask) -> tuple[Example, ...]:
    rng = random.Random(f"{task.series}:{task.seed}" if task.seed else task.series)
    count, found, misses = task.problems or _COUNT, dict[str, Example](), 0
    while len(found) < count:
        example = task.draw(rng)
        if not task.in_split(task.split_key(example)) or example.id in found:
            misses += 1
            if misses > _MISSES:
                raise ConfigError(
                    f"the task {task.name!r} has hardly more than {len(found)} different problems "
                    f"in the split {task.split!r} with these settings: ask for fewer"
                )
            continue
        found[example.id], misses = example, 0
    return tuple(found.values())
