"""The page's charts as a picture for a paper: PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError
from tts.output_files import prepare

__all__ = ["plot"]

_ENDINGS: Final = (".png", ".svg", ".pdf")
_COLOURS: Final = ("#0b62a8", "#c2500d", "#11805a", "#9a3f87", "#a07800", "#2183b8", "#7d4d2e",
                   "#565b64")  # fmt: skip
_MARKERS: Final = ("o", "^", "D", "s")
_RINGS: Final = ("-", "--", ":")
"""Around the marks of each budget; those without one have none."""
_COSTS: Final = {
    "total": "total tokens a problem",
    "critical": "tokens on the critical path a problem",
    "seconds": "seconds on the longest chain of calls a problem",
    "usd": "US dollars a problem",
}


def plot(summary: dict[str, Any], path: Path) -> None:
    """Draw accuracy against each known cost, and maj@k, a row for each task and model.

    Args:
        summary: Of the report's contents.
        path: Ends in `.png`, `.svg` or `.pdf`.

    Raises:
        ConfigError: If the ending is another, the extra `plot` is missing, or the file cannot be
            written.
    """
    if path.suffix not in _ENDINGS:
        raise ConfigError(
            f"--plot draws .png, .svg or .pdf, and this ends in {path.suffix or 'nothing'}",
            path=str(path),
        )
    try:
        import matplotlib as mpl  # a heavy extra
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plots need the extra `plot`: pip install 'tts-orchestrator[plot]'"
        ) from error
    facets = list(dict.fromkeys(map(_facet, summary["entries"])))
    costs = [cost for cost in _COSTS if any(map(_knows(cost), summary["entries"]))]
    style: dict[str, Any] = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False,
             "svg.hashsalt": "tts", "pdf.fonttype": 42}  # fmt: skip
    with mpl.rc_context(style):
        wide, high = len(costs) + 1, len(facets)
        figure = Figure(figsize=(3.2 * wide, 2.7 * high + 0.5), layout="constrained")
        grid = figure.subplots(high, wide, squeeze=False)
        for row, facet in zip(grid, facets, strict=True):
            for axes, cost in zip(row, costs, strict=False):
                _scatter(axes, summary, facet, cost)
            row[0].set_title(facet, loc="left", fontweight="bold")
            _votes(row[-1], summary, facet)
        _legend(figure, summary["entries"])
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    stamps: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    prepare(path)
    try:
        figure.savefig(path, dpi=200, metadata=stamps.get(path.suffix))
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror or error}", path=str(path)) from error


def _facet(entry: dict[str, Any]) -> str:
    return f"{entry['task']} · {entry['model']}"


def _knows(cost: str) -> Any:
    return lambda entry: entry["accuracy"] and (entry["costs"][cost] or [0])[0] > 0


def _look(entries: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each strategy: those of the page."""
    names = list(dict.fromkeys(entry["strategy"] for entry in entries))
    return {
        name: (_COLOURS[at % 8], _MARKERS[at // 8 % len(_MARKERS)]) for at, name in enumerate(names)
    }


def _rings(entries: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the line around the marks of each budget."""
    names = dict.fromkeys(entry["budget"] for entry in entries if entry["budget"] != "none")
    return {name: _RINGS[at % len(_RINGS)] for at, name in enumerate(names)}


def _scatter(axes: Any, summary: dict[str, Any], facet: str, cost: str) -> None:
    entries = summary["entries"]
    path = next(each["path"] for each in summary["fronts"]
                if each["cost"] == cost and _facet(each) == facet)  # fmt: skip
    look, rings = _look(entries), _rings(entries)
    shown = [each for each in entries if _facet(each) == facet and _knows(cost)(each)]
    ends = [end for each in shown for end in each["costs"][cost]]
    spans = bool(ends) and max(ends) > 5 * min(ends) > 0
    for entry in shown:
        colour, marker = look[entry["strategy"]]
        (x, left, right), (y, low, high) = entry["costs"][cost], entry["accuracy"]
        axes.errorbar(
            x, y, xerr=[[max(0.0, x - left)], [max(0.0, right - x)]],
            yerr=[[max(0.0, y - low)], [max(0.0, high - y)]],
            color=colour, marker=marker, markersize=5, linewidth=0.8,
            markerfacecolor="white" if entry["baseline"] else colour,
        )  # fmt: skip
        if entry["budget"] != "none":
            axes.scatter(x, y, 90, "none", edgecolors=colour, linestyles=rings[entry["budget"]])
    for entry in shown:
        fewer = [point for point in entry["curve"] if entry["baseline"] and point.get(cost)]
        if fewer:
            colour, _ = look[entry["strategy"]]
            shares = [point["accuracy"][0] for point in fewer]
            axes.plot([point[cost] for point in fewer], shares, color=colour, linewidth=0.8)
    if path:
        axes.step(*zip(*path, strict=True), where="post", color="gray", linestyle="--",
                  linewidth=0.9, zorder=0)  # fmt: skip
    axes.set_xlabel(_COSTS[cost])
    axes.set_ylabel("accuracy")
    if spans:
        _logarithmic(axes)
    axes.grid(visible=True, linewidth=0.3)


def _logarithmic(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axes.get_xlim()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1,) if high > 300 * max(low, 1e-9) else (1, 2, 5))
    )
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _votes(axes: Any, summary: dict[str, Any], facet: str) -> None:
    entries = summary["entries"]
    look = _look(entries)
    for entry in entries:
        curve = entry["curve"]
        if _facet(entry) != facet or not entry["is_pool"] or not curve:
            continue
        colour, _ = look[entry["strategy"]]
        sizes = [point["k"] for point in curve]
        votes, low, high = zip(*(point["accuracy"] for point in curve), strict=True)
        axes.plot(sizes, votes, "-", color=colour, linewidth=1.2)
        axes.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(sizes, [point["pass"] for point in curve], "--", color=colour, linewidth=1.2)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("samples k")
    axes.set_ylabel("maj@k (line), pass@k (dashed)")
    axes.grid(visible=True, linewidth=0.3)


def _legend(figure: Any, entries: Sequence[dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    marks: list[Any] = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in _look(entries).items()
    ]
    marks += [
        figure.axes[0].scatter(
            [], [], 90, "none", edgecolors="gray", linestyles=line, label=f"under {name}"
        )
        for name, line in _rings(entries).items()
    ]
    figure.legend(
        handles=marks, loc="outside lower center", ncols=min(6, len(marks)), frameon=False
    )
