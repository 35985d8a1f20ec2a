"""A model's words on a terminal."""

from __future__ import annotations

__all__ = ["duration", "plain"]


def plain(text: str) -> str:
    """Return a model's words as one line that cannot steer a terminal."""
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(75), duration(9), duration(3700)
    ('1 min 15 s', '9 s', '1 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
