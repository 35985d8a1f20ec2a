"""What `draft_target` carries from problem to problem of an open solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.stopping.test_takeovers import carried as counted
from tests.strategies.test_draft_target import large, pipeline, small, takeovers
from tts import Pipeline, Problem, Solution, Strategy
from tts.backends import Given
from tts.carried import Carried
from tts.errors import BackendUnavailable
from tts.evals.bench.turn_drift import RATE
from tts.layers import Trace
from tts.messages import Request
from tts.run import Run
from tts.solver import open_solver
from tts.stopping.turn_scores import BUCKETS
from tts.strategies.draft_target import DraftTarget
from tts.tasks import for_each
from tts.testing import FlakyBackend, virtual_run

Latency = Callable[[Request], float] | float


class ThinksFirst(Strategy, name="thinks_first"):
    """Asks once, then lets its parts solve, one after the other."""

    parts_in_turn: tuple[DraftTarget, ...]

    def roles(self) -> tuple[str, ...]:
        """Return both models' roles."""
        return ("draft", "target")

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Think, then solve."""
        await run.generate("think", role="draft")
        for part in self.parts_in_turn:
            solution = await run.solve(part)
        return solution


def slow(request: Request) -> float:
    """The same for a call in each run; calls of different problems finish in another order."""
    return 1.0 + (request.seed or 0) % 17


def befores(
    strategy: Strategy, latency: Latency = 0.0, problems: int = 6
) -> list[list[tuple[int, ...]]]:
    """Solve problems, all at once; return which decisions each part of each went on from."""
    models = {
        "small": Given(backend=small(latency), concurrency=16),
        "large": Given(backend=large(latency), concurrency=4),
    }
    roles = {"draft": "small", "target": "large"}
    opened = Pipeline(models=models, roles=roles, strategy=strategy)  # type: ignore[arg-type]  # parsed
    records: list[list[dict[str, Any]]] = [[] for _ in range(problems)]

    async def main() -> None:
        async with open_solver(opened) as solver:

            async def solve_one(number: int) -> None:
                trace = Trace(records[number].append)
                await solver.solve(opened.problem(f"q{number}"), seed=number, trace=trace)

            await for_each(solve_one, range(problems))

    virtual_run(main)
    return [
        [tuple(one["before"]["decisions"]) for one in own if one["event"] == "control"]
        for own in records
    ]


def drafted(**settings: Any) -> DraftTarget:
    return DraftTarget(**{"samples": 4, "chunk": 8, "lag": 2, "step": 0.1, "carry": 1, **settings})


def test_the_order_of_problems_holds_in_a_part_that_begins_late() -> None:
    strategy = ThinksFirst(parts_in_turn=(drafted(),))
    quick = befores(strategy)
    assert quick == befores(strategy, slow)
    assert [(one[0] if one else 0) for (one,) in quick] == [4 * n for n in range(6)]


def test_that_control_depends_on_the_order_in_which_shares_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: problems that are numbered late see other decisions by latency."""

    def begun_late(self: Carried, key: str, empty: Any, **how: Any) -> Any:
        return joined(self, key, empty, **{**how, "number": late(self)})

    joined, late = Carried.join, Carried.begin
    monkeypatch.setattr(Carried, "begin", lambda self: -1)
    monkeypatch.setattr(Carried, "join", begun_late)
    strategy = ThinksFirst(parts_in_turn=(drafted(),))
    assert befores(strategy) != befores(strategy, slow)


def test_parts_and_other_settings_carry_streams_of_their_own() -> None:
    """The bound is computed from one part's settings: no decisions of another may be among them."""
    twice = befores(ThinksFirst(parts_in_turn=(drafted(), drafted())))
    assert [[sum(one[:1]) for one in own] for own in twice] == [[4 * n] * 2 for n in range(6)]
    for other in ({"step": 0.2}, {"samples": 2}, {"lag": 1}, {"carry": 2}, {"rate": 0.4000001}):
        both = befores(ThinksFirst(parts_in_turn=(drafted(), drafted(**other))), problems=3)
        assert [sum(own[0][:1]) for own in both] == [0, 4, 8], other


@pytest.mark.parametrize("fails_at", [1, 4])
def test_a_problem_that_dies_hands_on_what_it_had_decided(fails_at: int) -> None:
    read: list[str] = []

    def fails(request: Request) -> bool:
        if "q0" in request.messages[0].content and request.given is not None:
            read.append(request.given)
        return "q0" in request.messages[0].content and len(read) >= fails_at

    opened = pipeline(small(), FlakyBackend(large(), fails), carry=1, samples=2, rate=0.01, lag=1)
    dead: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []

    async def main() -> None:
        async with open_solver(opened) as solver:
            with pytest.raises(BackendUnavailable):
                await solver.solve(opened.problem("q0"), trace=Trace(dead.append))
            await solver.solve(opened.problem("q1"), trace=Trace(after.append))

    virtual_run(main)
    (before,) = (one["before"] for one in after if one["event"] == "control")
    scored = [one for one in takeovers(dead) if one["score"] is not None]
    for turn in range(max((one["turn"] for one in scored), default=-1) + 1):
        own = [one["takes_over"] for one in scored if one["turn"] == turn]
        assert (len(own), sum(own)) == (before["decisions"][turn], before["takeovers"][turn])
    assert sum(before["decisions"]) == len(scored)
    assert bool(scored) is (fails_at > 1)


def test_a_problem_that_dies_before_its_share_opens_holds_up_nobody() -> None:
    down = [True]
    dead = FlakyBackend(small(), lambda request: down[0])
    models = {"small": Given(backend=dead), "large": Given(backend=large())}
    strategy = ThinksFirst(parts_in_turn=(drafted(),))
    roles = {"draft": "small", "target": "large"}
    opened = Pipeline(models=models, roles=roles, strategy=strategy)  # type: ignore[arg-type]  # parsed

    async def main() -> Solution:
        async with open_solver(opened) as solver:
            with pytest.raises(BackendUnavailable):
                await solver.solve(opened.problem("q0"))
            down[0] = False
            return await solver.solve(opened.problem("q1"))

    assert virtual_run(main).answer == "7"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_control_the_bound_of_carried_levels_needs_the_problems_under_way(sign: float) -> None:
    """Three problems of twelve samples begin at once: none hears of the others."""
    scores = [[[sign * (12 * number + i)] for i in range(12)] for number in range(3)]
    total = counted(scores, carry=3, lag=1, step=0.1)
    (told,) = total.rates(BUCKETS, RATE, step=0.1, delay=2 * 12)
    (without,) = total.rates(BUCKETS, RATE, step=0.1, delay=0)
    assert without.bound < abs(told.takeovers / told.decisions - RATE) <= told.bound
