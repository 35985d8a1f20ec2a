"""A report as one HTML page that asks nothing of any server."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from tts.evals.report.contents import Contents

__all__ = ["encoded", "page", "policy"]

_SCRIPTS: Final = ("elements", "numbers", "charts", "scatter", "lines", "table", "problems",
                   "candidates", "calls", "dialog", "app")  # fmt: skip
"""Files of `page/`, in the order in which they are read."""

_ESCAPES: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026",
                   0x2028: "\\u2028", 0x2029: "\\u2029"}  # fmt: skip


def encoded(value: Any) -> str:
    r"""Return JSON that may stand in a script element, whatever texts it holds.

    No `<`, `>` or `&` is left, so nothing in it ends the element or opens a comment; numbers that
    JSON lacks become null.

    >>> encoded({"said": "</script><!--", "score": float("nan")})
    '{"said":"\\u003c/script\\u003e\\u003c!--","score":null}'
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


@lru_cache(maxsize=1)
def _parts() -> tuple[str, str, str]:
    """The shell, the style and the script."""
    folder = files("tts.evals.report") / "page"
    scripts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    script = '(() => {\n"use strict";\n' + "\n".join(scripts) + "\n})();\n"
    shell = (folder / "shell.html").read_text(encoding="utf-8")
    return shell, (folder / "style.css").read_text(encoding="utf-8"), script


def policy(*, live: bool = False) -> str:
    """Return the page's Content-Security-Policy: its own script and style by digest, no more.

    Args:
        live: Whether the page may ask its own server for news.
    """
    _, style, script = _parts()
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        f"connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def page(found: Contents, *, live: bool = False) -> bytes:
    """Return the page.

    Args:
        found: What it says.
        live: Whether it asks its server again and again for the summary, and for details when
            they are wanted.
    """
    shell, style, script = _parts()
    values = {
        "title": html.escape(found.summary["title"]),
        "policy": html.escape(policy(live=live)),
        "style": style,
        "script": script,
        "figures": _figures(found.summary["entries"]),
        "summary": encoded({**found.summary, "live": live}),
        "details": encoded(found.details),
    }
    text = "".join(_filled(shell, values))
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair is an escape in JSON


def _figures(entries: Sequence[dict[str, Any]]) -> str:
    """Return the entries as a plain table, for browsers without scripts."""
    heads = ["task", "model", "strategy", "accuracy", "n", "total tokens", "critical tokens",
             "points, equal total",
             "points, equal critical", "no verdict"]  # fmt: skip
    lines = [
        [
            each["task"], each["model"], each["label"], _told(each["accuracy"], ".1%"), each["n"],
            *(_told(each["costs"][cost], ",.0f") for cost in ("total", "critical")),
            *(_gain(each["equal"].get(cost, {})) for cost in ("total", "critical")),
            _missing(each["counts"]),
        ]
        for each in entries
    ]  # fmt: skip
    rows = [_row("th", heads), *(_row("td", line) for line in lines)]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _gain(equal: dict[str, Any]) -> str:
    """Return a gain in points, with the runs of which it knows less or nothing."""
    kinds = {"left_out": "left out", "failed": "failed", "unjudged": "not judged"}
    without = [f"{equal[kind]} {word}" for kind, word in kinds.items() if equal.get(kind)]
    return ", ".join([_told(equal.get("gain"), "+.1f", 100), *without])


def _missing(counts: dict[str, int]) -> str:
    """Return what the accuracy leaves out."""
    kinds = {
        "failed": "failed",
        "unjudged": "not judged",
        "unjudged_draws": "candidates not judged",
    }
    return (
        ", ".join(f"{counts[kind]} {word}" for kind, word in kinds.items() if counts[kind]) or "–"
    )


def _row(tag: str, cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def _told(interval: list[float] | None, form: str, scale: int = 1) -> str:
    if interval is None:
        return "–"
    mean, low, high = (format(scale * value, form) for value in interval)
    return f"{mean} [{low}, {high}]"


def _filled(shell: str, values: dict[str, str]) -> list[str]:
    """Fill `{{name}}` in one pass: what is filled in is not looked at again."""
    parts = []
    for number, piece in enumerate(shell.replace("}}", "{{").split("{{")):
        parts.append(values[piece] if number % 2 else piece)
    return parts
