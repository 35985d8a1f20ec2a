"""Files for the tasks that read one: a few lines of our own in each data set's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LINES: dict[str, list[dict[str, Any]]] = {
    "jsonl": [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)],
}
"""By task."""


def written(folder: Path, lines: list[dict[str, Any]], name: str = "lines.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def settings_of(name: str, folder: Path) -> dict[str, Any]:
    """The settings that a task needs."""
    if name not in LINES:
        return {}
    return {"path": str(written(folder, LINES[name])), "develop": 0.5}
