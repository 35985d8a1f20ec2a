"""Base of the tasks that read a file the user has, or a data set of the Hugging Face Hub."""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from tts.errors import ConfigError
from tts.evals.checkers.base import made_for_show
from tts.evals.checkers.numeric import number_of
from tts.evals.tasks.base import Example, Task
from tts.evals.tasks.drawn import identity, split_of
from tts.pipeline import read_text
from tts.problem_files import listed

__all__ = ["FileTask", "Hub", "field_of", "list_of", "number_in", "rows_of", "text_of"]

_MOST_NAMED: Final = 5
_KINDS: Final[dict[type, str]] = {str: "texts", dict: "objects"}


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a data set lies on the Hugging Face Hub."""

    name: str
    split: str
    config: str | None = None


class FileTask(Task, name="file"):
    """Problems of a file of JSON lines. A member says what a line means.

    Nothing is bundled: give `path`, or install the extra `datasets` to load the Hub's copy.
    """

    hub: ClassVar[Hub | None] = None
    """The Hub's copy, if there is one."""

    path: Path | None = None
    """A file of JSON lines, UTF-8; None loads the data set from the Hub (extra `datasets`)."""
    develop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of problems kept for the split `develop`, chosen by a digest of the row's own
    question; by default none: `test` is the whole file."""
    shuffle: bool = False
    """Take the problems in an order drawn from the seed, not in the file's: for files that are
    sorted by kind, with `problems`."""

    @property
    def copy_on_hub(self) -> Hub | None:
        """The Hub's copy that these settings mean."""
        return self.hub

    @abstractmethod
    def read(self, row: dict[str, Any], number: int) -> Example | None:
        """Return what a line says, or None to pass over it.

        Args:
            row: The line's object.
            number: The line, from 1.

        Raises:
            ConfigError: If it lacks something.
        """

    def said(self, row: dict[str, Any], example: Example) -> str:
        """Return what decides a problem's split: its text, without what settings add to it."""
        return example.problem.text

    def examples(self) -> tuple[Example, ...]:
        """Return the problems of the split.

        Raises:
            ConfigError: If the file is missing or wrong, the extra is not installed, or `develop`
                is asked for and nothing was kept for it.
        """
        if self.split == "develop" and not self.develop:
            raise ConfigError(
                f"the task {self.title!r} keeps no problems for the split develop: set "
                "develop: 0.2 in both splits, or choose settings on another task"
            )
        found = [
            example
            for said, example in self._read()
            if split_of(identity(said), self.develop) == self.split
        ]
        if self.shuffle:
            random.Random(self.seed).shuffle(found)
        return tuple(found[: self.problems])

    def _read(self) -> list[tuple[str, Example]]:
        where = str(self.path) if self.path else self.copy_on_hub.name if self.copy_on_hub else None
        examples: dict[str, Example] = {}
        said: dict[str, str] = {}
        mistakes: list[tuple[int, str]] = []
        with made_for_show():  # it is asked what it cannot judge, nothing else
            checker = self.checker
        for number, row in self._rows():
            try:
                example = self.read(row, number)
                if example is None:
                    continue
                if examples.setdefault(example.id, example) is not example:
                    raise ConfigError(f"the id {example.id!r} is that of an earlier line")
                if misfit := checker.misfit(example):
                    raise ConfigError(f"{checker.name}: {misfit}")
                said[example.id] = self.said(row, example)
            except (ConfigError, ValueError) as error:
                reason = error.message if isinstance(error, ConfigError) else _reason(error)
                mistakes.append((number, reason))
        if mistakes:
            raise ConfigError(listed(mistakes, _MOST_NAMED), path=where, line=mistakes[0][0])
        if not examples:
            raise ConfigError("no problem in the file", path=where)
        return [(said[id_], example) for id_, example in examples.items()]

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        if self.path is None:
            yield from enumerate(_from_hub(self.name, self.copy_on_hub), 1)
            return
        yield from rows_of(self.path)


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield a file's objects with their lines, from 1.

    Raises:
        ConfigError: If it cannot be read, or a line is no object.
    """
    text = read_text(path).removeprefix("\ufeff")  # as some editors begin UTF-8
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _object(line, path, number)


def field_of(row: dict[str, Any], *names: str) -> Any:
    """Return the value of the first of these names that a line has.

    Raises:
        ConfigError: If it has none of them.
    """
    for name in names:
        if row.get(name) is not None:
            return row[name]
    wanted = " or ".join(map(repr, names))
    raise ConfigError(
        f"the field {wanted} is missing or null; there are {', '.join(row) or 'none'}"
    )


def text_of(row: dict[str, Any], *names: str) -> str:
    """Return such a value as text; 27.0 is `27`.

    Raises:
        ConfigError: If there is none, or it is neither a text nor a number.
    """
    value = field_of(row, *names)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"the field {names[0]!r} is neither a text nor a number")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"the field {names[0]!r} is no Unicode text: half of a surrogate pair")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"the field {names[0]!r} is no finite number")
    return str(value)


def list_of(row: dict[str, Any], name: str, kind: type) -> list[Any]:
    """Return a field that is a list of texts, or of objects, as it is.

    Raises:
        ConfigError: If it is missing or none, empty, or holds anything else.
    """
    value = field_of(row, name)
    if not isinstance(value, list) or not value:
        raise ConfigError(f"the field {name!r} is no list with something in it")
    if not all(isinstance(each, kind) for each in value):
        raise ConfigError(f"the field {name!r} is no list of {_KINDS[kind]}")
    return value


def number_in(answer: str) -> str:
    """Return a right answer without blanks around it.

    Raises:
        ConfigError: If it is no number, so that nothing could be judged by it.
    """
    if number_of(answer) is None:
        raise ConfigError(f"the answer {answer.strip()[:40]!r} is no number")
    return answer.strip()


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError("not JSON: a line is one object", path=str(path), line=number) from error
    except (ValueError, RecursionError) as error:  # more digits, or brackets, than Python reads
        raise ConfigError("too large or too deep a value", path=str(path), line=number) from error
    if not isinstance(row, dict):
        raise ConfigError("a line is one JSON object", path=str(path), line=number)
    return row


def _reason(error: ValueError) -> str:
    """The first thing that pydantic, or a format, found wrong."""
    errors = getattr(error, "errors", None)
    return str(errors()[0]["msg"]) if errors else str(error)


def _from_hub(task: str, hub: Hub | None) -> Iterator[dict[str, Any]]:
    if hub is None:
        raise ConfigError(f"the task {task!r} needs path: a file of JSON lines")
    try:
        from datasets import load_dataset  # an extra, and heavy
    except ImportError as error:
        raise ConfigError(
            f"the task {task!r} needs path: a file of JSON lines, or the Hub's {hub.name} with "
            "pip install tts-orchestrator[datasets]"
        ) from error
    try:
        for row in load_dataset(hub.name, hub.config, split=hub.split):
            yield dict(row)
    except (OSError, ValueError) as error:  # no network, no such set, or one behind a gate
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"cannot load {hub.name} from the Hub: {reason}; or give path") from error
