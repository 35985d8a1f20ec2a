"""Cassettes: what models answered, one JSON object a line.

head    cassette (format), name, capabilities, price: the model that was recorded
then    request, place, used (tokens), and completion or error; neither, if it was cancelled

A request is recorded without its place in the run and its time limit, which determine no answer;
`place` is for people. No key ever comes near: requests do not know of them.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from tts.backends.base import Capabilities, Price
from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.messages import Completion, Request, Usage
from tts.output_files import prepare

__all__ = ["Cassette", "Failure", "Head", "Take"]

_FORMAT = 1
_PLACE = {"role", "span", "ticket", "timeout", "priority"}
_COMPARED = 400
"""Characters of the prompts that are compared to find the nearest request."""


class Head(Frozen):
    """The model that was recorded."""

    cassette: int = _FORMAT
    name: str
    capabilities: Capabilities
    price: Price | None = None


class Failure(Frozen):
    """An error that a call ended in."""

    kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None


class Take(Frozen):
    """One call: what was asked, and how it ended."""

    request: Request
    place: str = ""
    """Role, span and ticket of the call, for whoever reads the file."""
    used: Usage = Usage()
    """What the call had used when it ended."""
    completion: Completion | None = None
    error: Failure | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was cancelled before it ended in anything."""
        return self.completion is None and self.error is None


class Cassette:
    """A cassette that is open: answers by request, and a file to add to.

    Args:
        path: The file.

    Attributes:
        head: The model that was recorded; None in a new cassette.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Head | None = None
        self._takes: dict[str, deque[Take]] = defaultdict(deque)
        self._lines: list[tuple[int, Request]] = []
        self._file: TextIO | None = None

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigError: If it cannot be read, or is no cassette.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the cassette: {error}", path=str(self.path)) from error
        for number, line in enumerate(lines, 1):
            try:
                value = json.loads(line)
                if number == 1:
                    self.head = Head.model_validate(value)
                else:
                    self._add(Take.model_validate(value), number)
            except (ValueError, ValidationError) as error:
                message = "no cassette of this version: record it again"
                raise ConfigError(message, path=str(self.path), line=number) from error
        if self.head is None or self.head.cassette != _FORMAT:
            raise ConfigError("no cassette of this version: record it again", path=str(self.path))

    def begin(self, head: Head) -> None:
        """Open the file for further takes; a new one gets its head.

        Raises:
            ConfigError: If it cannot be written, or holds another model's answers.
        """
        if self.head is not None and self.head.name != head.name:
            raise ConfigError(
                f"holds answers of {self.head.name}, not of {head.name}", path=str(self.path)
            )
        prepare(self.path)
        try:
            self._file = self.path.open("a" if self.head else "x", encoding="utf-8")
        except FileExistsError as error:
            message = "the cassette is there already: delete it, or extend it (mode: extend)"
            raise ConfigError(message, path=str(self.path)) from error
        except OSError as error:
            raise ConfigError(f"cannot write: {error.strerror}", path=str(self.path)) from error
        if self.head is None:
            self.head = head
            self._write(head.model_dump(mode="json"))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def add(self, take: Take) -> None:
        """Write a take down; what was written survives a crash of the run.

        What was answered is known from now on. A failure is not: whoever tries again asks anew.
        """
        if take.request.seed is not None and take.completion is not None:
            self._add(take, 0)
        asked = take.request.model_dump(mode="json", exclude=_PLACE, exclude_defaults=True)
        rest = take.model_dump(mode="json", exclude={"request"}, exclude_defaults=True)
        self._write({"request": asked, **rest})

    def _write(self, value: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
        self._file.flush()

    def _add(self, take: Take, line: int) -> None:
        self._takes[_key(take.request)].append(take)
        self._lines.append((line, take.request))

    def take(self, request: Request, *, answered: bool = False) -> Take | None:
        """Return the next take of a request, or None.

        The same request with a seed has one answer, which is given again; without a seed each take
        is given once, in the order in which they were recorded.

        Args:
            request: What is asked.
            answered: Leave out failed and cancelled takes.
        """
        takes = self._takes.get(_key(request)) or deque[Take]()
        while takes and (
            (answered and takes[0].completion is None)
            or (request.seed is not None and len(takes) > 1 and takes[0].is_cancelled)
        ):
            takes.popleft()  # a call that was cancelled was asked again, and answered
        if not takes:
            return None
        return takes.popleft() if request.seed is None or len(takes) > 1 else takes[0]

    def miss(self, request: Request) -> ConfigError:
        """Return the error for a request that was not recorded; it names the nearest that was."""
        place = f"role {request.role!r}, ticket {request.ticket} of {request.span or 'no run'}"
        message = f"no recording of this request ({place})"
        if not self._lines:
            return ConfigError(f"{message}: the cassette is empty", path=str(self.path))
        line, near = max(self._lines, key=lambda entry: _likeness(request, entry[1]))
        differing = _differing(request, near) or ["nothing: it was used up"]
        return ConfigError(
            f"{message}; the nearest, in line {line}, differs in {', '.join(differing)}: "
            "record it, or go back to what was recorded",
            path=str(self.path),
        )


def _key(request: Request) -> str:
    return request.model_dump_json(exclude=_PLACE)


def _differing(one: Request, other: Request) -> list[str]:
    """Name the fields in which two requests differ, with their values where these are short."""
    found = []
    for name in Request.model_fields:
        asked, recorded = getattr(one, name), getattr(other, name)
        if name in _PLACE or asked == recorded:
            continue
        values = f"{recorded!r}, asked {asked!r}"
        found.append(f"{name} (recorded {values})" if len(values) < 60 else name)
    return found


def _likeness(one: Request, other: Request) -> tuple[float, float]:
    """Rank by the prompts first, then by the number of equal settings."""
    alike = SequenceMatcher(None, _prompt(one), _prompt(other), autojunk=False).quick_ratio()
    return round(alike, 3), -len(_differing(one, other))


def _prompt(request: Request) -> str:
    return "\n".join(message.content for message in request.messages)[-_COMPARED:]
