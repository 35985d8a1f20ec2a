"""A small task, and suites of it on scripted models."""

from __future__ import annotations

import re
from typing import Any

from tts import Request
from tts.backends import Given, Price
from tts.evals.checkers.base import Checker, CheckFailed
from tts.evals.records import Draw, Row
from tts.evals.suite import Lineup, Suite
from tts.evals.tasks.base import Example, Task
from tts.ledger import RunUsage
from tts.problem import Problem
from tts.testing import ScriptedBackend


class Same(Checker, name="same"):
    """Fails on the answer 13."""

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        if answer == "13":
            raise CheckFailed("13 is unlucky")
        if answer == "66":
            raise RuntimeError("a bug")
        return answer == example.answer


class Sums(Task, name="sums"):
    """1 + 1, 2 + 2, ..."""

    @property
    def checker(self) -> Checker:
        return Same()

    def examples(self) -> tuple[Example, ...]:
        return tuple(
            Example(id=str(n), problem=Problem(text=f"{n} + {n} = ?"), answer=str(2 * n))
            for n in range(1, (self.problems or 6) + 1)
        )


def adds(request: Request) -> str:
    """Right in two of three draws."""
    left = int(re.findall(r"(\d+) \+", request.messages[-1].content)[-1])
    seed = request.seed or 0
    return f"Answer: {2 * left + (seed % 3 == 0) * (1 + seed % 2)}"


def backend(answers: Any = adds, **settings: Any) -> ScriptedBackend:
    return ScriptedBackend(answers, price=Price(input=1.0, output=2.0), **settings)


def suite(model: ScriptedBackend, **settings: Any) -> Suite:
    given: dict[str, Any] = {
        "tasks": (Sums(),),
        "models": {"m": Lineup(models={"m": Given(backend=model)})},
        "strategies": {
            "vote": {"use": "self_consistency", "samples": 4, "stop": "never"},
            "one": {"use": "self_consistency", "samples": 1},
        },
        "equal": ("total", "critical", "usd"),
        "baseline": {"samples": 8},
    }
    return Suite.model_validate(given | settings)


def row(
    cell: str,
    example: str,
    right: bool | None = True,
    *,
    draws: tuple[tuple[str, bool], ...] = (),
    tokens: int = 10,
    status: Any = "ok",
    **settings: Any,
) -> Row:
    """Return a row whose draws cost ten tokens each."""
    return Row(
        cell=cell,
        example=example,
        problem="q",
        right_answer="1",
        status=status,
        answer="1",
        right=right,
        usage=RunUsage(calls=1, total_tokens=tokens, critical_tokens=tokens, cost_usd=tokens / 1e6),
        draws=tuple(
            Draw(answer=key, key=key, right=hit, prompt_tokens=4, completion_tokens=6)
            for key, hit in draws
        ),
        **settings,
    )
