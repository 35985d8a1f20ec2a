"""Files for the tasks that read one: a few lines of our own in each data set's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CALLS = [{"add": {"a": [1], "b": [2.0, 2]}}, {"say.it": {"text": ["hello"], "loud": [True, ""]}}]

LINES: dict[str, list[dict[str, Any]]] = {
    "aime": [{"id": str(n), "question": f"Find {n} + 3.", "answer": str(n + 3)} for n in range(40)],
    "amc23": [{"question": f"Find {n} / 2.", "answer": n / 2} for n in range(40)],
    "bfcl": [
        {
            "id": f"parallel_{n}",
            "category": "parallel",
            "messages": [{"role": "user", "content": f"Add 1 and 2 and say hello {n} times."}],
            "functions": [{"name": "add", "description": "Add.", "parameters": {"type": "dict"}}],
            "ground_truth": _CALLS,
        }
        for n in range(40)
    ],
    "gpqa": [
        {
            "Question": f"Which is {n}?",
            "Correct Answer": str(n),
            **{f"Incorrect Answer {k}": str(n + k) for k in (1, 2, 3)},
            "High-level domain": "Counting",
        }
        for n in range(40)
    ],
    "gsm8k": [
        {"question": f"Ann has {n} figs and buys 2.", "answer": f"{n} + 2 = {n + 2}\n#### {n + 2}"}
        for n in range(40)
    ],
    "hotpotqa": [
        {
            "id": str(n),
            "type": "comparison" if n % 8 else "bridge",
            "question": f"Which is larger, {n} or the {n + 1}?",
            "answer": f"the {n + 1}",
            "level": "hard",
        }
        for n in range(40)
    ],
    "humaneval": [
        {
            "task_id": f"Own/{n}",
            "prompt": f'import math\n\n\ndef plus(x):\n    """Return x plus {n}."""\n',
            "entry_point": "plus",
            "canonical_solution": f"    return math.floor(x) + {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in range(6)
    ],
    "jsonl": [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)],
    "math500": [
        {
            "problem": f"Halve {n}.",
            "answer": f"\\frac{{{n}}}{{2}}",
            "subject": "Algebra",
            "level": 1,
            "unique_id": f"test/{n}",
        }
        for n in range(1, 40)
    ],
    "mbpp": [
        {
            "task_id": n,
            "text": f"Write a function that adds {n}.",
            "code": f"def plus(x):\n    return x + {n}\n",
            "test_list": [f"assert plus(1) == {n + 1}", f"assert plus(-1) == {n - 1}"],
            "test_setup_code": "",
        }
        for n in range(6)
    ],
    "movies": [
        {
            "id": str(n),
            "question": f"Find a movie similar to Film {n}\nOptions:\nThe Film {n + 1}\nTrain\n",
            "answer": f"The Film {n + 1}",
        }
        for n in range(40)
    ],
    "parallelqa": [
        {"id": str(n), "question": f"How long is {n}?", "answer": f"{n}.5", "branch": 2}
        for n in range(40)
    ],
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
