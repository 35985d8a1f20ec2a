"""A run store in the result files of lm-evaluation-harness, for tools and boards that read those.

A model there is what answers there: here, a model with a strategy, a budget and a seed. So each of
these has a folder with `results_DATE.json` over all tasks, and a `samples_TASK_DATE.jsonl` each.

Source: the files that lm-evaluation-harness 0.4.9 writes (`lm_eval.loggers.EvaluationTracker`).
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore

__all__ = ["export_lm_eval"]

_METRIC: Final = "exact_match"
_COSTS: Final = ("calls", "total_tokens", "critical_tokens", "completion_tokens")
"""Means a problem that stand beside the accuracy; lower is better."""
_UNSAFE: Final = re.compile(r"[\"<>:/|\\?*\[\]\s,=]+")


def export_lm_eval(store: RunStore, folder: Path) -> list[Path]:
    """Write a run store as lm-eval's files; return those of the results. No model call.

    Accuracy is over the problems that have a verdict: failed runs and failed checkers are left out
    of `effective`, and of the samples. A problem has one `doc_id` in all files of a task.

    Args:
        store: The run.
        folder: Where to; made if it is not there.

    Raises:
        ConfigError: If the run holds no row, two names of it would be one file's, or the folder
            cannot be written.
    """
    about, places = store.about(), _places(store)
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in store.cells():
        groups[_model_name(cell)].append(cell)
    _tell_apart("entries", list(groups), _safe)
    _tell_apart("tasks", list(dict.fromkeys(cell.task for cell in store.cells())), _plain)
    written = []
    for name, cells in groups.items():
        solved = [_Task.of(cell, store, about, places[cell.task]) for cell in cells]
        solved = [task for task in solved if task.rows]
        if solved:
            written.append(_write(folder / _safe(name), name, solved, about))
    if not written:
        raise ConfigError("the run holds no solved problem yet: nothing to export")
    return written


@dataclass(frozen=True)
class _Task:
    """A task as one strategy has solved it."""

    cell: Cell
    rows: list[Row]
    planned: int
    places: Mapping[str, int]

    @classmethod
    def of(
        cls, cell: Cell, store: RunStore, about: dict[str, Any], places: Mapping[str, int]
    ) -> _Task:
        rows = [row for row in store.rows(cell) if row.right is not None and row.status != "failed"]
        planned = int(about.get("problems", {}).get(cell.key, len(rows)))
        return cls(cell, rows, planned, places)

    def results(self) -> dict[str, Any]:
        """Return accuracy and mean costs with their standard errors, as lm-eval spells them."""
        told: dict[str, Any] = {"alias": self.cell.task}
        measured = {_METRIC: [float(bool(row.right)) for row in self.rows]}
        for cost in _COSTS:
            measured[cost] = [float(getattr(row.costs, cost)) for row in self.rows]
        for name, values in measured.items():
            told[f"{name},none"] = sum(values) / len(values)
            told[f"{name}_stderr,none"] = _stderr(values)
        return told

    def config(self) -> dict[str, Any]:
        """Return the task's configuration; the strategy's is in `metadata`."""
        better = {_METRIC: True, **dict.fromkeys(_COSTS, False)}
        return {
            "task": self.cell.task,
            "output_type": "generate_until",
            "num_fewshot": 0,
            "repeats": 1,
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": is_better}
                for name, is_better in better.items()
            ],
            "metadata": {"version": 1, **self.cell.settings},
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each problem with a verdict."""
        for row in self.rows:
            doc = {"id": row.example, "question": row.problem, "answer": row.right_answer}
            yield {
                "doc_id": self.places[row.example],
                "doc": {**doc, **row.extra},
                "target": row.right_answer,
                "arguments": {"gen_args_0": {"arg_0": row.problem, "arg_1": {}}},
                "resps": [[draw.text for draw in row.draws] or [row.text]],
                "filtered_resps": [row.answer],
                "filter": "none",
                "metrics": [_METRIC, *_COSTS],
                "doc_hash": _digest(json.dumps(doc, sort_keys=True)),
                "prompt_hash": _digest(row.problem),
                "target_hash": _digest(row.right_answer),
                _METRIC: float(bool(row.right)),
                **{cost: getattr(row.costs, cost) for cost in _COSTS},
            }


def _places(store: RunStore) -> dict[str, dict[str, int]]:
    """Number each task's problems as they were planned, whoever has answered how many by now.

    Where a store knows no plan of a task, its problems are numbered by their ids.
    """
    found = {task: list(ids) for task, ids in store.planned().items()}
    solved: dict[str, set[str]] = defaultdict(set)
    for cell in store.cells():
        if cell.task not in found:
            solved[cell.task] |= {row.example for row in store.rows(cell, texts=False)}
    found |= {task: sorted(ids) for task, ids in solved.items()}
    return {task: {id_: at for at, id_ in enumerate(ids)} for task, ids in found.items()}


def _write(folder: Path, name: str, tasks: Sequence[_Task], about: dict[str, Any]) -> Path:
    """Write a model's files; return that of the results."""
    finished = max(row.finished_at for task in tasks for row in task.rows)
    date = datetime.fromisoformat(finished) if finished else datetime.fromtimestamp(0)
    stamp = date.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    hashes = {}
    path = folder / f"results_{stamp}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for task in tasks:
            samples = list(task.samples())
            parts = (s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples)
            hashes[task.cell.task] = _digest("".join(parts))
            lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples]
            file = folder / f"samples_{_plain(task.cell.task)}_{stamp}.jsonl"
            file.write_text("".join(lines), encoding="utf-8")
        whole = {**_results(name, tasks, about, date), "task_hashes": hashes}
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", path=str(folder)) from error
    return path


def _results(
    name: str, tasks: Sequence[_Task], about: dict[str, Any], date: datetime
) -> dict[str, Any]:
    cell = tasks[0].cell
    better = {_METRIC: True, **dict.fromkeys(_COSTS, False)}
    began = about.get("began")
    seconds = (date - datetime.fromisoformat(began)).total_seconds() if began else None
    return {
        "results": {task.cell.task: task.results() for task in tasks},
        "group_subtasks": {task.cell.task: [] for task in tasks},
        "configs": {task.cell.task: task.config() for task in tasks},
        "versions": {task.cell.task: 1 for task in tasks},
        "n-shot": {task.cell.task: 0 for task in tasks},
        "higher_is_better": {task.cell.task: better for task in tasks},
        "n-samples": {
            task.cell.task: {"original": task.planned, "effective": len(task.rows)}
            for task in tasks
        },
        "config": {
            "model": "tts",
            "model_args": f"model={cell.model},strategy={cell.strategy},budget={cell.budget}",
            "model_source": "tts",
            "batch_size": None,
            "device": None,
            "limit": None,
            "gen_kwargs": None,
            "random_seed": cell.seed,
        },
        "git_hash": None,
        "date": date.timestamp(),
        "tts_version": about.get("version", version("tts-orchestrator")),
        "lm_eval_version": None,
        "model_source": "tts",
        "model_name": name,
        "model_name_sanitized": _safe(name),
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": None,
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": None if seconds is None else str(seconds),
    }


def _model_name(cell: Cell) -> str:
    budget = "" if cell.budget == "none" else f",{cell.budget}"
    return f"{cell.model}/{cell.strategy}{budget},seed={cell.seed}"


def _safe(name: str) -> str:
    """Return a name as part of a file's name, in the manner of lm-eval.

    >>> _safe("main/vote,total=4096,seed=0")
    'main__vote__total__4096__seed__0'
    """
    return _UNSAFE.sub("__", name)


def _plain(task: str) -> str:
    """Return a task's name in the name of its samples: as lm-eval does, and finds it again.

    >>> _plain("graphs (hard)")
    'graphs__hard_'
    """
    return re.sub(r"\W", "_", task)


def _tell_apart(what: str, names: Sequence[str], written: Callable[[str], str]) -> None:
    """Refuse names that would overwrite each other's files, also where case does not count."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(written(name).casefold(), name)
        if other != name:
            raise ConfigError(
                f"the {what} {other!r} and {name!r} would be written to the same file "
                f"{written(name)!r}: rename one in the suite"
            )


def _stderr(values: Sequence[float]) -> float | str:
    """Return the standard error of the mean; lm-eval writes N/A where there is none.

    >>> _stderr([1.0, 0.0, 1.0, 0.0]), _stderr([1.0])
    (0.28867513459481287, 'N/A')
    """
    if len(values) < 2:
        return "N/A"
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
