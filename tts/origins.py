"""What a calibration was made with, so that a pipeline that differs can be told in what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from tts.frozen import Frozen

__all__ = ["Origin"]

_LONG = 80
_TOLD = 3


class Origin(Frozen):
    """All that decides what a pipeline samples, and how answers are read and counted."""

    fingerprint: str = ""
    """Digest of it; empty where it is not known."""
    settings: tuple[tuple[str, str], ...] = ()
    """Dotted names and JSON; of a long one, such as a prompt, its length and a digest."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the origin that nested settings make."""
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return cls(fingerprint=_digest(text), settings=tuple(_flat("", values)))

    def difference(self, other: Self) -> str | None:
        """Return in what another one differs: `name: was x, is y` of each; None if in nothing.

        >>> Origin.of({"chunk": {"size": 5}}).difference(Origin.of({"chunk": {"size": 6}}))
        'chunk.size: was 5, is 6'
        """
        if self.fingerprint == other.fingerprint:
            return None
        was, now = dict(self.settings), dict(other.settings)
        told = [
            f"{name}: was {was.get(name, 'not set')}, is {now.get(name, 'not set')}"
            for name in sorted({*was, *now})
            if was.get(name) != now.get(name)
        ]
        if not was or not told:
            return "it does not say which"
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        return "; ".join(told[:_TOLD]) + more


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), each)
        return
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    yield name, text if len(text) <= _LONG else f"{len(text)} characters ({_digest(text)[:8]})"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
