"""A model's words on a terminal."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str) -> str:
    """Return a model's words as one line that cannot steer a terminal."""
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
