"""The course of a run: which rows and what rate at which time."""

from __future__ import annotations

from tts.backends.reference.training.corpus import Shape

__all__ = ["examined", "rate", "shape_of"]

_SHORT = Shape(18, 256, (1, 2, 3, 4, 5))
_MIDDLE = Shape(12, 384, (2, 3, 4, 5, 6, 7))
_LONG = Shape(7, 640, (4, 5, 6, 7, 8, 9, 10))
_WIDE = Shape(4, 1024, (4, 5, 6, 7, 8, 9, 10))
_EARLY_LEVELS = (1, 2, 3)
_EARLY_SHARE = 0.06
_WARM_UP = 60
_CONSTANT = 0.35


def rate(progress: float, steps: int) -> float:
    """Return the share of the full rate: a short warm-up, then constant, then linear to zero."""
    falling = (1.0 - progress) / (1.0 - _CONSTANT)
    return min(1.0, (steps + 1) / _WARM_UP) * max(0.0, min(1.0, falling))


def shape_of(index: int, progress: float, own: bool, levels: tuple[int, ...] = ()) -> Shape:
    """Return the rows of a step: short problems first, long rows once drafts are at hand.

    Args:
        index: Of the step.
        progress: Share of the time that is over.
        own: Whether the model's own drafts are at hand.
        levels: Where they are given, all problems have so many operations, and all rows one size.
    """
    if levels:
        return _SHORT._replace(levels=levels)
    if progress < _EARLY_SHARE and not own:
        return _SHORT._replace(levels=_EARLY_LEVELS)
    turn = (_WIDE, _LONG, _MIDDLE, _LONG) if own else (_SHORT, _MIDDLE, _MIDDLE, _LONG)
    return turn[index % 4] if own or index % 16 else _LONG


def examined(levels: tuple[int, ...] = ()) -> Shape:
    """Return the rows of the test batch."""
    return _SHORT._replace(levels=levels) if levels else _MIDDLE
