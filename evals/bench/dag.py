"""How close the executor of graphs comes to what is possible, and what it costs itself.

Makespans are measured on virtual time, so they are exact: on random graphs against the lower
bound max(longest chain, work / slots) and against Graham's upper bound, and on Graham's anomalies.
Costs are real: processor time a node, and how late a dependent starts. The same work is done with
LangGraph and its_hub, where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import anyio

from tts.executed import Executed
from tts.graph import Node, open_graph
from tts.testing import virtual_run

SLOTS = (2, 4, 8)
CHAIN = 100


class Shape(NamedTuple):
    """Durations by node, and for each the earlier ones it waits for."""

    durations: Sequence[float]
    after: Sequence[Sequence[int]]


GRAHAM = Shape((3, 2, 2, 2, 4, 4, 4, 4, 9), ((), (), (), (), (3,), (3,), (3,), (3,), (0,)))
ANOMALIES = {
    "3 slots": (GRAHAM, 3),
    "4 slots": (GRAHAM, 4),
    "shorter tasks": (Shape([seconds - 1 for seconds in GRAHAM.durations], GRAHAM.after), 3),
    "fewer edges": (Shape(GRAHAM.durations, ((), (), (), (), (), (), (3,), (3,), (0,))), 3),
}


def random_shape(rng: random.Random) -> Shape:
    """Return a graph of 10 to 100 nodes with 0.5 to 4 inputs each on average, lognormal durations.

    The bound itself is loose on smaller and denser graphs: no schedule reaches it there.
    """
    size, inputs = rng.randint(10, 100), rng.uniform(0.5, 4.0)
    chance = min(1.0, 2 * inputs / size)
    durations = [rng.lognormvariate(0.0, 0.7) for _ in range(size)]
    after = [[each for each in range(index) if rng.random() < chance] for index in range(size)]
    return Shape(durations, after)


async def _run(shape: Shape, slots: int, *, ranked: bool) -> Executed:
    async with open_graph(slots=slots) as graph:
        for index, seconds in enumerate(shape.durations):

            async def work(results: Mapping[int, Any], seconds: float = seconds) -> None:
                await anyio.sleep(seconds)

            graph.add(
                Node(
                    id=index,
                    work=work,
                    after=tuple(shape.after[index]),
                    duration=seconds if ranked else 0.0,
                )
            )
        await graph.settle()
        return graph.executed


def _ratios(graphs: int, seed: int) -> dict[str, Any]:
    """Return makespan / lower bound over random graphs, and how often Graham's bound failed."""
    rng = random.Random(seed)
    shapes = [random_shape(rng) for _ in range(graphs)]
    found: dict[str, list[float]] = {"all": [], "all, in order of arrival": []}
    violations = 0
    for slots, shape, ranked in itertools.product(SLOTS, shapes, (True, False)):
        done = virtual_run(partial(_run, shape, slots, ranked=ranked))
        most = done.work / slots + (1 - 1 / slots) * done.critical_path
        violations += not done.lower_bound - 1e-9 <= done.makespan <= most + 1e-9
        ratio = done.makespan / done.lower_bound
        for name in ("all", f"{slots} slots") if ranked else ("all, in order of arrival",):
            found.setdefault(name, []).append(ratio)
    return {name: _spread(each) for name, each in found.items()} | {"violations": violations}


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "mean": round(statistics.fmean(ordered), 4),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 4),
        "max": round(ordered[-1], 4),
    }


async def _nothing(results: Mapping[int, Any]) -> None:
    """Do no work at all."""


def _layered(rng: random.Random, size: int) -> list[tuple[int, ...]]:
    """Return inputs for nodes that take up to three of the fifty before them."""
    return [
        tuple({rng.randrange(max(0, index - 50), index) for _ in range(rng.randint(0, 3))})
        if index
        else ()
        for index in range(size)
    ]


async def _cpu(inputs: Sequence[tuple[int, ...]], slots: int = 64) -> float:
    """Return the processor seconds that a graph of idle nodes takes."""
    began = time.process_time()
    async with open_graph(slots=slots) as graph:
        for index, after in enumerate(inputs):
            graph.add(Node(id=index, work=_nothing, after=after))
        await graph.settle()
    return time.process_time() - began


async def _dispatch(silent: bool, repeats: int) -> list[float]:
    """Return how many ms after its input each dependent started; the planner may be silent."""
    async with open_graph() as graph, anyio.create_task_group() as tasks:
        for index in range(repeats):

            async def work(results: Mapping[int, Any]) -> None:
                await anyio.sleep(0.002)

            graph.add(Node(id=2 * index, work=work))
            graph.add(Node(id=2 * index + 1, work=_nothing, after=(2 * index,)))
            if not silent:
                await anyio.sleep(0.001)
        await graph.settle()
        tasks.cancel_scope.cancel()
    steps = {step.id: step for step in graph.executed.steps}
    return [
        1000 * ((steps[each].started or 0.0) - (steps[each].ready or 0.0))
        for each in range(1, 2 * repeats, 2)
    ]


def _overheads(quick: bool) -> dict[str, float]:
    """Return costs: the p99 over graphs of 1,000 nodes, chains, and one of 10,000."""
    rng, repeats = random.Random(1), 20 if quick else 200
    thousand = [anyio.run(_cpu, _layered(rng, 1000)) for _ in range(repeats)]
    chain = [(index - 1,) if index else () for index in range(CHAIN)]
    chains = [anyio.run(_cpu, chain) for _ in range(repeats)]
    late = anyio.run(_dispatch, True, 20) + anyio.run(_dispatch, False, 200)
    return {
        "ms_a_node_of_1000_p99": round(_p99(thousand), 4),  # 1000 s of a graph is ms of a node
        "ms_chain_of_100_p99": round(1000 * _p99(chains), 2),
        "s_10000_nodes": round(anyio.run(_cpu, _layered(rng, 10_000)), 2),
        "ms_from_input_to_start_p99": round(_p99(late), 2),
    }


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def _compared(repeats: int) -> dict[str, float]:
    """Return processor ms for 100 independent idle nodes, here and with LangGraph's `Send`."""
    wide = [()] * 100
    ours = statistics.median(anyio.run(_cpu, wide) for _ in range(repeats))
    found = {"tts": round(1000 * ours, 2)}
    if importlib.util.find_spec("langgraph") is not None:
        from tts.evals.bench.dag_langgraph import fan_out_seconds

        found["langgraph"] = round(1000 * fan_out_seconds(100, repeats), 2)
    if _has_its_hub():
        from tts.evals.bench import dag_its_hub

        found["its_hub"] = round(1000 * dag_its_hub.fan_out_seconds(100, repeats), 2)
    return found


def _layers(graphs: int, seed: int) -> dict[str, dict[str, float]]:
    """Return makespan / longest chain with a slot for each node: here, and a batch a layer."""
    rng, found = random.Random(seed), dict[str, list[float]]()
    for shape in (random_shape(rng) for _ in range(graphs)):
        done = virtual_run(partial(_run, shape, len(shape.durations), ranked=True))
        found.setdefault("tts", []).append(done.makespan / done.critical_path)
        if _has_its_hub():
            from tts.evals.bench.dag_its_hub import layered_seconds

            seconds = layered_seconds(shape.durations, shape.after)
            found.setdefault("its_hub, by layers", []).append(seconds / done.critical_path)
    return {name: _spread(each) for name, each in found.items()}


def _has_its_hub() -> bool:
    return all(importlib.util.find_spec(each) is not None for each in ("its_hub", "backoff"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures = {
        "makespan_over_bound": _ratios(200 if options.quick else 4000, options.seed),
        "anomalies": {
            name: virtual_run(partial(_run, shape, slots, ranked=False)).makespan
            for name, (shape, slots) in ANOMALIES.items()
        },
        "overhead": _overheads(options.quick),
        "fan_out_of_100_cpu_ms": _compared(5 if options.quick else 30),
        "makespan_over_longest_chain": _layers(50 if options.quick else 400, options.seed),
    }
    if options.json:
        print(json.dumps(figures))
        return
    for title, part in figures.items():
        print(title)
        for name, value in part.items():
            print(f"  {name:<28} {value}")


if __name__ == "__main__":
    main()
