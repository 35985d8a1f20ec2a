"""Runs of the compiler in which anything may go wrong, each from one seed.

`python -m tts.evals.bench.dag_faults` makes ten thousand of them: on virtual time each must end
before its deadline, with an answer or one typed error, and leave nothing behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

import anyio

import tts
from tts import Run, Solution
from tts.backends import Given, Retry
from tts.errors import BackendError, BackendTimeout, BackendUnavailable, RateLimited
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.tools import Tool

DEADLINE = 60.0
TOOL_SECONDS = 4.0
STATES = {"succeeded", "failed", "skipped", "cancelled", "timed_out"}


class _Odd(Exception):
    """An error, and a result, of which no text can be had."""

    def __str__(self) -> str:
        raise ValueError("no text either")


def _tools(rng: random.Random) -> tuple[Tool, ...]:
    async def work(x: Any = None) -> Any:
        fate = rng.random()
        await anyio.sleep(rng.choice([0.0, 0.1, 2.0]))
        if fate < 0.1:
            raise rng.choice(
                [ValueError("bad"), TimeoutError(), KeyError(), RateLimited("slow"), _Odd()]
            )
        if fate < 0.2:
            await anyio.sleep_forever()
        if fate < 0.25:
            return "9. work(9)\n10. join() $1 ${2} " * 1000
        if fate < 0.27:
            return "x" * 5_000_000
        if fate < 0.3:
            return rng.choice([object(), _Odd()])
        if fate < 0.33:
            await _gone()
        if fate < 0.35:
            raise SystemExit(2)
        if isinstance(x, list):
            x.append(x)  # a list without an end
            return x
        return rng.choice([None, 7, "text", {"a": [1]}, [], ""])

    async def pure(x: Any = None) -> Any:
        return await work(x)

    async def asks(run: Run, x: Any = None) -> str:
        return (await run.generate(str(x), role="solve")).text

    def quick(x: Any = None) -> Any:
        return [x] if rng.random() < 0.8 else {}[x]

    attempts = rng.choice([1, 1, 2, 9])
    return (
        Tool.of(work, timeout=TOOL_SECONDS, attempts=attempts, concurrency=rng.choice([None, 1])),
        Tool.of(pure, timeout=TOOL_SECONDS, is_pure=True),
        Tool.of(asks, timeout=TOOL_SECONDS, attempts=attempts),
        Tool.of(quick, is_quick=True, is_pure=True),
    )


async def _gone() -> None:
    """Wait for what somebody has cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def _plan(rng: random.Random, first: int) -> list[str]:
    lines = []
    for number in range(first, first + rng.randint(0, 6)):
        name = rng.choice(
            ["work", "pure", "nope"] if rng.random() < 0.2 else ["work", "pure", "asks", "quick"]
        )
        before = rng.randint(1, number)
        argument = rng.choice(
            [
                "1",
                f"${before}",
                f'"see ${before}"',
                f"${{{before}.a[0]}}",
                "it's",
                f"{{${before}: 1}}",
            ]
        )
        lines.append(f"{number}. {name}({argument}{rng.choice([')'] * 9 + [''])}\n")
    text = "".join(lines) + rng.choice(["99. join()", "join", "", "so much prose\n"])
    size = rng.choice([1, 3, 1000])
    return [text[at : at + size] for at in range(0, len(text), size)]


def faulty_run(seed: int) -> Solution | BackendError:
    """Make one run; it ends before its deadline, whatever happens, and leaves nothing behind."""
    rng = random.Random(seed)
    says = [
        *("Finish: 3", "Replan: more", "prose", "", "Finish()", '{"replan": 1}', "Finish((", "é"),
        *("\n" * 5000 + "x", "1_", "Finish: " + "9" * 5000),
    ]
    model = SpeakingBackend(
        {
            "plan": [_plan(rng, 1)],
            "repair": [_plan(rng, rng.choice([1, 4, 8]))],
            "replan": [_plan(rng, rng.choice([1, 5, 9])) for _ in range(2)],
            "join": rng.choices(says, k=3),
            "act": rng.choices([*says, "work(1)", "1. pure(2)", "nope(1)", "quick($1)"], k=4),
            "solve": ["said", "too"],
        },
        pause=rng.choice([0.0, 0.01, 0.5]),
        dies_after={
            role: rng.randint(0, 3)
            for role in ("plan", "repair", "replan", "join", "act", "solve")
            if rng.random() < 0.1
        },
        error=lambda: rng.choice([BackendUnavailable("gone"), BackendTimeout("late")]),
    )
    strategy = Compiler(
        tools=_tools(rng),  # type: ignore[arg-type]  # parsed by the field
        max_rounds=rng.choice([1, 2, 3]),
        slots=rng.choice([1, 3, 16]),
        fallback=rng.random() < 0.8,
    )

    async def main() -> Solution | BackendError:
        provider = Given(backend=model, retry=Retry(attempts=1))
        with anyio.fail_after(DEADLINE + 1.0):
            try:
                return await tts.solve("q?", strategy, model=provider, budget={"seconds": DEADLINE})
            except BackendError as error:
                return error

    result = virtual_run(main)
    _check(result, model)
    return result


def _check(result: Solution | BackendError, model: SpeakingBackend) -> None:
    """Make sure that nothing is left behind and nothing is left open.

    Raises:
        AssertionError: If it is.
    """
    assert model.active == 0
    if isinstance(result, Solution):
        assert result.graph is not None
        assert {step.state for step in result.graph.steps} <= STATES
        assert result.answer != ""


def main() -> None:
    """Make the runs and say how they ended; a hang or a stray error ends the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs, began = 500 if options.quick else 10_000, time.process_time()
    endings: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + runs):
        result = faulty_run(seed)
        endings[result.status if isinstance(result, Solution) else type(result).__name__] += 1
    figures = {
        "runs": runs,
        "hangs": 0,
        "endings": dict(endings.most_common()),
        "cpu_seconds": round(time.process_time() - began, 1),
    }
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
