"""A run store made up for reports: strategies of known accuracy, with draws, traces and texts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tts.evals.records import Cell, Draw, Row
from tts.evals.store import RunStore
from tts.ledger import RunUsage
from tts.problem import StoppedBy

NASTY = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 2'><!-- & \u2028"
"""What a model might say to a page that believes it."""

STRATEGIES = {"baseline": 16, "single": 1, "pdr": 9, "self_consistency, beta": 16}


USES = {"baseline": "self_consistency", "self_consistency, beta": "self_consistency"}
TASKS = ("graphs-4", "graphs-6")


def cells(tasks: Sequence[str] = TASKS) -> list[Cell]:
    return [
        Cell(task=task, model="small", strategy=name, is_baseline=name == "baseline",
             settings={"strategy": {"use": USES.get(name, name), "samples": samples}})
        for task in tasks for name, samples in STRATEGIES.items()
    ]  # fmt: skip


def draw(rng: random.Random, right: str, chance: float) -> Draw:
    good = rng.random() < chance
    answer = right if good else str(int(right) + rng.choice((1, 2, 10)))
    return Draw(
        answer=answer, key=answer, right=good, mean_logprob=-rng.random(),
        prompt_tokens=60, completion_tokens=rng.randint(20, 60),
        text=f"Let me see. {NASTY} Answer: {answer}",
    )  # fmt: skip


def trace(draws: Sequence[Draw], path: str = "run/sample0") -> tuple[dict[str, Any], ...]:
    clock = 0.0
    records: list[dict[str, Any]] = [{"event": "run", "trace_id": "t", "seed": 0}]
    for ticket, each in enumerate(draws):
        end = clock + each.completion_tokens / 50
        records.append({
            "event": "call", "trace_id": "t", "span": path, "ticket": ticket,
            "role": "solve" if ticket < 12 else "judge", "model": "small", "prompt_digest": "d1",
            "start": clock, "end": end, "outcome": "cancelled" if ticket == 15 else "stop",
            "prompt_tokens": each.prompt_tokens, "completion_tokens": each.completion_tokens,
            "attempts": 1, "cached": False, "hedged": False, **({} if ticket else {"seconds": 9.5}),
            "prompt": [{"role": "user", "content": f"Solve this. {NASTY}"}], "text": each.text,
        })  # fmt: skip
        clock += 0.2 if ticket % 4 else 0.7
    records.append({"event": "stop", "trace_id": "t", "span": path, "ticket": len(draws) - 1,
                    "rule": "beta", "reason": "sure", "guarantee": None})  # fmt: skip
    spans = ({"event": "span", "trace_id": "t", "path": name, "start": 0.0, "end": clock,
              "critical_tokens": 321} for name in (path, "run"))  # fmt: skip
    return (*records, *spans)


def row(cell: Cell, number: int, chance: float) -> Row:
    rng = random.Random(f"{cell.key} {number}")
    right = str(number + 7)
    most = STRATEGIES.get(cell.strategy, 4)
    stops = cell.strategy.endswith("beta")
    draws = tuple(draw(rng, right, chance) for _ in range(rng.randint(3, most) if stops else most))
    answer = Counter(each.answer for each in draws).most_common(1)[0][0]
    tokens = [each.prompt_tokens + each.completion_tokens for each in draws]
    usage = RunUsage(
        calls=len(draws), prompt_tokens=60 * len(draws),
        completion_tokens=sum(tokens) - 60 * len(draws), total_tokens=sum(tokens),
        critical_tokens=max(tokens) * (3 if cell.strategy == "pdr" else 1),
        cost_usd=sum(tokens) * 1e-6, wall_seconds=max(tokens) / 50,
        critical_seconds=max(tokens) / 60,
    )  # fmt: skip
    common: dict[str, Any] = {
        "cell": cell.key, "example": f"p{number}", "right_answer": right, "usage": usage,
        "problem": f"There are {number} hats and {NASTY}. How many are there with seven more?",
        "extra": {"level": number % 3}, "trace": trace(draws), "draws": draws,
    }  # fmt: skip
    if number == 5 and cell.strategy == "pdr":
        return Row(**common, status="failed", error="BackendUnavailable: gone")
    if number == 6 and cell.strategy == "pdr":
        return Row(**common, status="ok", answer="six?", check_failure="not a number")
    stopped = StoppedBy(rule="beta", reason="sure enough", guarantee=None) if stops else None
    return Row(**common, status="ok", answer=answer, text=f"Answer: {answer} {NASTY}",
               right=answer == right, stopped_by=stopped)  # fmt: skip


def fill(
    path: Path, *, problems: int = 40, tasks: Sequence[str] = ("graphs-4", "graphs-6")
) -> Path:
    """Write a finished run and return its path."""
    planned = cells(tasks)
    with RunStore(path) as store:
        planned_problems = {cell.key: problems for cell in planned}
        store.tell(
            {"version": "0.1.0", "equal": ["total", "critical"], "problems": planned_problems}
        )
        store.plan(planned)
        for at, cell in enumerate(planned):
            level = random.Random(cell.task).random() * 0.2
            for number in range(problems):
                hard = random.Random(f"{cell.task} {number}").uniform(-0.25, 0.25)
                chance = min(1.0, 0.45 + level + hard + (0.12 if at % 4 == 2 else 0.0))
                store.add(row(cell, number, chance))
    return path
