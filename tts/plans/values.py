"""References to results: how they are found in a text, and how results take their place.

A value is what a plan's argument says: a number, a text, a list, a dictionary, a `Ref` or a
`Template`. Results are put in once, into the value as it was written: what a result says is never
looked at, so it can hold no reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tts.copies import copied

__all__ = ["Ref", "Template", "UnknownReference", "fill", "reference", "refs", "template"]

_PATH = r"(?:\.[A-Za-z_]\w*|\[(?:\d{1,9}|'[^']*'|\"[^\"]*\")\])*"
_PART = re.compile(r"\.([A-Za-z_]\w*)|\[(\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_WHOLE = re.compile(rf"\$(\d{{1,9}})(?!\d)({_PATH})|\$\{{\s*(\d{{1,9}})({_PATH})\s*\}}")
_AMOUNT = r"(?!\d|[.,]\d|[km]\b|\s?(?:bn|thousand|million|billion|trillion)\b)"
_WITHIN = re.compile(
    rf"\$\$|\$\{{\s*(\d{{1,9}})({_PATH})\s*\}}|\$(\d{{1,9}}){_AMOUNT}"
    r"|(\$\{\s*\d[^}]{0,40})",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*(?:[,:)\]}]|$)")


class UnknownReference(ValueError):
    """A reference to a step that no earlier line declares.

    Attributes:
        text: The reference as it was written.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Ref:
    """The result of a step, or a part of it.

    Attributes:
        id: The step.
        path: Keys and indices that lead to the part; empty is the whole.
        text: As it was written.
    """

    id: int
    path: tuple[str | int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with references in it."""

    parts: tuple[str | Ref, ...]


def reference(text: str, start: int, known: Collection[int]) -> tuple[Ref, int] | None:
    """Read a reference at a place of a text; return it and where it ends, None if there is none.

    `$5` with more behind it is none, unless the step is known: `$5 million`.

    Raises:
        UnknownReference: If it names a step that is not known.
    """
    found = _WHOLE.match(text, start)
    if found is None:
        return None
    id, path = found[1] or found[3], found[2] or found[4] or ""  # noqa: A001  # the plan's word
    if int(id) not in known:
        if found[1] and not _AFTER.match(text, found.end()):
            return None
        raise UnknownReference(found[0])
    return Ref(int(id), _path(path), found[0]), found.end()


def template(text: str, known: Collection[int], lost: Collection[int] = ()) -> str | Ref | Template:
    """Return what a quoted or plain text stands for.

    A text that is one reference is that reference. Within a text, `${n}` is one, `$$` is a dollar,
    and `$n` is one if the step is known and no amount of money is meant: `$5 million`, `$1.50`.

    Args:
        text: The text.
        known: The steps that may be referred to.
        lost: Steps that the plan has, and that could not be read.

    Raises:
        UnknownReference: If `${n}` names a step that is not known, or `$n` one that is lost.
    """
    whole = _WHOLE.fullmatch(text.strip())
    if whole is not None and int(whole[1] or whole[3]) in known:
        return Ref(int(whole[1] or whole[3]), _path(whole[2] or whole[4] or ""), whole[0])
    parts: list[str | Ref] = []
    literal, end = "", 0
    for found in _WITHIN.finditer(text):
        literal += text[end : found.start()]
        end = found.end()
        id = found[1] or found[3]  # noqa: A001  # the plan's word
        if found[4]:
            raise UnknownReference(found[4])
        if id is None:
            literal += "$"
        elif int(id) in known:
            parts += [literal, Ref(int(id), _path(found[2] or ""), found[0])]
            literal = ""
        elif found[1] or int(id) in lost:
            raise UnknownReference(found[0])
        else:
            literal += found[0]
    literal += text[end:]
    return Template((*parts, literal)) if parts else literal


def refs(value: Any) -> Iterator[Ref]:
    """Yield the references in a value, in order."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Template):
        yield from (part for part in value.parts if isinstance(part, Ref))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from refs(part)
    elif isinstance(value, dict):
        for pair in value.items():
            yield from refs(pair)


def fill(value: Any, results: Mapping[int, Any], show: Callable[[Any], str]) -> Any:
    """Put results in the place of references; a reference that stands alone gets the value itself.

    Lists and dictionaries are copied, so that who takes them may change them; other objects are
    handed on as they are.

    Args:
        value: What a plan's argument says.
        results: The results by step.
        show: What a result looks like within a text.

    Raises:
        LookupError: If a result has no such part.
    """
    if isinstance(value, Ref):
        return copied(_part(value, results[value.id]))
    if isinstance(value, Template):
        return "".join(
            part if isinstance(part, str) else show(_part(part, results[part.id]))
            for part in value.parts
        )
    if isinstance(value, list):
        return [fill(part, results, show) for part in value]
    if isinstance(value, tuple):
        return tuple(fill(part, results, show) for part in value)
    if isinstance(value, dict):
        return {
            _as_key(fill(key, results, show)): fill(part, results, show)
            for key, part in value.items()
        }
    return value


def _as_key(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        raise LookupError(f"a {type(value).__name__} cannot be a key") from None
    return value


def _path(text: str) -> tuple[str | int, ...]:
    return tuple(
        int(found[2]) if found[2] else found[1] or found[3] or found[4] or ""
        for found in _PART.finditer(text)
    )


def _part(ref: Ref, value: Any) -> Any:
    """Follow a reference's path by keys and indices alone: attributes are none of a plan's."""
    for key in ref.path:
        if isinstance(value, str):
            value = _as_json(value, ref)
        if not _has(value, key):
            raise LookupError(f"{ref.text}: the result of step {ref.id} has no {key!r}")
        value = value[key]
    return value


def _has(value: Any, key: str | int) -> bool:
    if isinstance(value, Mapping):
        return key in value
    return isinstance(value, Sequence) and isinstance(key, int) and key < len(value)


def _as_json(text: str, ref: Ref) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise LookupError(f"{ref.text}: the result of step {ref.id} is a plain text") from None
