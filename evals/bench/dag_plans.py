"""Whole solves of the compiler on virtual time: how far from the streamed ideal, and from serial.

Plans are derived mechanically from data sets of LLMCompiler, given as files of JSON lines: of
movie recommendations a search for each title and option, of ParallelQA as many searches as it has
branches, a calculation on each, and one comparison. The planner streams word by word; tools take
lognormal times with a mean of 0.61 s, planner and joiner 1.88 s and 1.62 s, as was measured for
the paper (Kim et al. 2023, arXiv:2312.04511). Without files the shapes are made up.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio

import tts
from tts.backends import Given
from tts.plans import Call, Item, PlanReader
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.tools import Tool

PLANNER_SECONDS, JOIN_SECONDS, TOOL_SECONDS, SIGMA = 1.88, 1.62, 0.61, 0.6
WITH_COMMAS = ("Lock, Stock & Two Smoking Barrels", "Monsters, Inc")
"""Titles that the data set's own commas would part."""
MOVIE_LINES = 9
"""Lines that the planner wrote in its time."""


def movie_plan(question: str) -> list[str]:
    """Return a search for each title and option."""
    titles, _, options = question.partition("\nOptions:\n")
    for title in WITH_COMMAS:
        titles = titles.replace(title, title.replace(", ", "\0"))
    listed = titles.removeprefix("Find a movie similar to ").split(", ")
    wanted = [title.replace("\0", ", ") for title in listed]
    names = [name for name in [*wanted, *options.splitlines()] if name.strip()]
    return [f"search({json.dumps(name, ensure_ascii=False)})" for name in names]


def branch_plan(branch: int) -> list[str]:
    """Return searches, a calculation on each, and a comparison of all."""
    searches = [f'search("part {number}")' for number in range(1, branch + 1)]
    maths = [f'math("${number} * 1.2")' for number in range(1, branch + 1)]
    compared = ", ".join(f"${branch + number}" for number in range(1, branch + 1))
    return [*searches, *maths, f"compare([{compared}])"]


def _plans(file: Path | None, kind: str) -> list[list[str]]:
    if file is None:
        if kind == "movie":
            return [[f'search("title {number}")' for number in range(8)]] * 40
        return [branch_plan(branch) for branch in (2, 3, 4, 5) for _ in range(10)]
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if kind == "movie":
        return [movie_plan(row["question"]) for row in rows]
    return [branch_plan(row["branch"]) for row in rows]


def _tools(rng: random.Random, taken: list[float]) -> tuple[Tool, ...]:
    mean = math.log(TOOL_SECONDS) - SIGMA**2 / 2

    async def work() -> str:
        taken.append(rng.lognormvariate(mean, SIGMA))
        number = len(taken)
        await anyio.sleep(taken[-1])
        return f"result {number}, which mentions $1 and\n2. search(nothing)"

    async def search(query: str) -> str:
        return await work()

    async def math_(problem: str) -> str:
        return await work()

    async def compare(items: list[str]) -> str:
        return await work()

    named: dict[str, Callable[..., Any]] = {"search": search, "math": math_, "compare": compare}
    return tuple(Tool.of(each, name=name, is_pure=True) for name, each in named.items())


def _solve(plan: Sequence[str], seed: int) -> dict[str, float]:
    """Solve once; return seconds of the solve, of its ideal, and of serial calls."""
    lines = _lines(plan)
    pieces = re.findall(r"\S+\s*|\s+", "".join(lines))
    pause = PLANNER_SECONDS / MOVIE_LINES * len(lines) / len(pieces)
    model = _Paced({"plan": [pieces], "join": ["Finish: it"]}, pause=pause)
    taken: list[float] = []
    strategy = Compiler(tools=_tools(random.Random(seed), taken))  # type: ignore[arg-type]  # parsed

    async def main() -> tuple[tts.Solution, float]:
        began = anyio.current_time()
        solution = await tts.solve("q", strategy, model=Given(backend=model))
        return solution, anyio.current_time() - began

    solution, seconds = virtual_run(main)
    assert solution.graph is not None
    assert solution.answer == "it"
    assert (len(solution.graph.steps), len(taken)) == (len(plan), len(set(plan)))
    planning = pause * len(pieces)
    ideal = max(solution.graph.streamed_ideal, planning) + JOIN_SECONDS
    return {
        "measured": seconds,
        "streamed_ideal": ideal,
        "blocked_ideal": planning + solution.graph.critical_path + JOIN_SECONDS,
        "serial": planning + sum(taken) + JOIN_SECONDS,
    }


def _lines(plan: Sequence[str]) -> list[str]:
    return [f"{number}. {call}\n" for number, call in enumerate([*plan, "join()"], 1)]


def _partitions(plans: Sequence[Sequence[str]], seed: int) -> int:
    """Read each plan whole, by character, and cut at random; return how often all was the same.

    Raises:
        AssertionError: If it was not.
    """
    rng, count = random.Random(seed), 0
    for plan in plans:
        text = "".join(_lines(plan))
        whole = _read([text])
        assert sum(isinstance(item, Call) for item in whole) == len(plan)
        for cuts in [range(len(text)), *(rng.choices(range(len(text)), k=20) for _ in range(3))]:
            places = [0, *sorted(cuts), len(text)]
            assert _read([text[a:b] for a, b in pairwise(places)]) == whole
            count += 1
    return count


def _read(pieces: Sequence[str]) -> list[Item]:
    reader = PlanReader()
    return [item for piece in pieces for item in reader.feed(piece)] + reader.close()


class _Paced(SpeakingBackend):
    """Speaks the plan at its pace; the joiner takes its time in one."""

    async def generate(self, request: Any, meter: Any) -> Any:
        """Say the role's next line."""
        if request.role == "join":
            await anyio.sleep(JOIN_SECONDS - self._pause)
        return await super().generate(request, meter)


def _figures(plans: Sequence[Sequence[str]], seed: int) -> dict[str, float]:
    runs = [_solve(plan, seed + number) for number, plan in enumerate(plans)]
    means = {name: statistics.fmean(run[name] for run in runs) for name in runs[0]}
    over = [run["measured"] / run["streamed_ideal"] - 1 for run in runs]
    return {
        "runs": len(runs),
        "partitions": _partitions(plans, seed),
        **{name: round(mean, 3) for name, mean in means.items()},
        "over_ideal_mean_percent": round(100 * statistics.fmean(over), 4),
        "over_ideal_max_percent": round(100 * max(over), 4),
        "speed_up": round(means["serial"] / means["measured"], 2),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--movie", type=Path, help="JSON lines with question")
    parser.add_argument("--parallelqa", type=Path, help="JSON lines with branch")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    most = 20 if options.quick else None
    figures = {
        kind: _figures(_plans(file, kind)[:most], options.seed)
        for kind, file in (("movie", options.movie), ("parallelqa", options.parallelqa))
    }
    if options.json:
        print(json.dumps(figures))
        return
    for kind, part in figures.items():
        print(kind, "  ".join(f"{name} {value}" for name, value in part.items()))


if __name__ == "__main__":
    main()
