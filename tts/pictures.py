"""Pictures of points with error bars, through matplotlib where the extra `plot` is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tts.errors import ConfigError
from tts.output_files import prepare

__all__ = ["FORMATS", "Figure", "Mark", "require_plot", "save"]

FORMATS: Final = (".png", ".svg", ".pdf")
"""Endings of files that can be written."""
_UNDATED: Final = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # same data, same file


@dataclass(frozen=True, slots=True)
class Mark:
    """A point.

    Attributes:
        x: Across.
        y: Up.
        low: Lower end of its bar.
        high: Upper end of its bar.
        name: Stands in the key, under the number that is written beside it.
        color: A name that matplotlib knows.
        large: Draw it larger than the others.
    """

    x: float
    y: float
    low: float
    high: float
    name: str = ""
    color: str = "gray"
    large: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """What is drawn.

    Attributes:
        marks: The points.
        across: What x is, with its unit.
        up: What y is, with its unit.
        level: A height to mark by a line; None for none.
        level_name: What that height is.
    """

    marks: Sequence[Mark]
    across: str
    up: str
    level: float | None = None
    level_name: str = ""


def require_plot() -> None:
    """Refuse to go on without matplotlib; to be asked before anything is paid for.

    Raises:
        ConfigError: If the extra `plot` is not installed.
    """
    try:
        import matplotlib as _  # noqa: F401  # an extra
    except ImportError as error:
        raise ConfigError(
            "this picture needs the extra plot: pip install 'tts-orchestrator[plot]'; "
            "tts calibrate writes .svg without it"
        ) from error


def save(figure: Figure, path: Path) -> None:
    """Draw a figure and write it, in the format that the file's ending names.

    Raises:
        ConfigError: If the extra `plot` is not installed, the ending is none of `FORMATS`, or the
            file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"a picture's name ends in {', '.join(FORMATS)}, and {path} does not")
    require_plot()
    prepare(path)
    from matplotlib import figure as canvas  # an extra
    from matplotlib import rc_context

    drawn = canvas.Figure(figsize=(7.0, 5.0))
    axes = drawn.subplots()
    for number, mark in enumerate(figure.marks, 1):
        bars = [[mark.y - mark.low], [mark.high - mark.y]]
        size = 8 if mark.large else 4
        axes.errorbar(
            [mark.x], [mark.y], bars, fmt="o", color=mark.color, markersize=size, linewidth=1
        )
        place = (2, 4 + 9 * (number % 4))  # neighbours would hide each other
        axes.annotate(str(number), (mark.x, mark.y), place, textcoords="offset points", fontsize=7)
    key = "\n".join(f"{number:2} {mark.name}" for number, mark in enumerate(figure.marks, 1))
    axes.text(1.02, 1.0, key, transform=axes.transAxes, va="top", fontsize=7, family="monospace")
    if figure.level is not None:
        axes.axhline(figure.level, color="crimson", linestyle="--", linewidth=1)
        axes.text(
            0.99, figure.level, figure.level_name, transform=axes.get_yaxis_transform(),
            ha="right", va="bottom", fontsize=8, color="crimson",
        )  # fmt: skip
    axes.set(xlabel=figure.across, ylabel=figure.up)
    axes.set_ylim(bottom=0.0)
    try:
        # Letters rather than their outlines, and names that do not change from run to run.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tts"}):
            drawn.savefig(path, dpi=150, bbox_inches="tight", metadata=_UNDATED.get(path.suffix))
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", path=str(path)) from error
