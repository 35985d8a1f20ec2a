"""The executor: order, bounds, failures, sharing. Times are virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.shapes import Shape, run, shapes
from tts.errors import ConfigError, ToolError
from tts.executed import Executed, Step
from tts.graph import Durations, Node, TaskGraph, open_graph
from tts.testing import virtual_run

GRAHAM = Shape((3, 2, 2, 2, 4, 4, 4, 4, 9), ((), (), (), (), (3,), (3,), (3,), (3,), (0,)))
SHORTER = Shape([seconds - 1 for seconds in GRAHAM.durations], GRAHAM.after)
LOOSER = Shape(GRAHAM.durations, ((), (), (), (), (), (), (3,), (3,), (0,)))


@pytest.mark.parametrize(
    ("shape", "slots", "makespan"),
    [(GRAHAM, 3, 12), (GRAHAM, 4, 15), (SHORTER, 3, 13), (LOOSER, 3, 16)],
    ids=["three slots", "four slots", "shorter", "fewer edges"],
)
def test_grahams_anomalies(shape: Shape, slots: int, makespan: float) -> None:
    """In list order more slots, less work and fewer edges may all take longer (Graham 1969)."""
    assert run(shape, slots, expected=False, first=1).makespan == makespan


@given(shape=shapes(), slots=st.integers(1, 4))
def test_makespan_keeps_grahams_bounds(shape: Shape, slots: int) -> None:
    done = run(shape, slots)
    most = done.work / slots + (1 - 1 / slots) * done.critical_path
    assert done.lower_bound - 1e-9 <= done.makespan <= most + 1e-9
    assert done.work == sum(shape.durations)


@given(shape=shapes())
def test_with_a_slot_for_each_the_streamed_ideal_is_reached(shape: Shape) -> None:
    times = [0.5 * index for index in range(len(shape.durations))]
    done = run(shape, None, emitted=times)
    assert done.makespan == pytest.approx(done.streamed_ideal)
    assert done.overhead == pytest.approx(0.0)


@given(shape=shapes(), slots=st.integers(1, 4))
def test_no_node_starts_before_its_inputs_or_without_a_slot(shape: Shape, slots: int) -> None:
    steps = {step.id: step for step in run(shape, slots).steps}
    for step in steps.values():
        assert step.state == "succeeded"
        assert step.attempts == 1
        assert step.started is not None
        for one in step.after:
            finished = steps[one].finished
            assert finished is not None
            assert finished <= step.started
    for moment in {step.started for step in steps.values()}:
        assert moment is not None
        running = [s for s in steps.values() if (s.started or 0) <= moment < (s.finished or 0)]
        assert len(running) <= slots


@given(shape=shapes(), slots=st.integers(1, 3), pause=st.sampled_from([0.0, 0.3, 2.0]))
def test_streamed_nodes_keep_the_bounds_too(shape: Shape, slots: int, pause: float) -> None:
    done = run(shape, slots, emitted=[pause * index for index in range(len(shape.durations))])
    assert done.makespan >= done.lower_bound - 1e-9
    assert all(step.state == "succeeded" for step in done.steps)


def test_the_node_that_begins_the_longest_chain_goes_first() -> None:
    shape = Shape((1, 1, 5), ((), (), (1,)))
    steps = run(shape, 1).steps
    assert [step.started for step in steps] == [6, 0, 1]


def test_a_ready_node_rises_when_a_long_one_is_added_behind_it() -> None:
    shape = Shape((2, 1, 1, 9), ((), (), (), (2,)))
    steps = run(shape, 1, emitted=[0, 0, 0, 1]).steps
    assert [step.started for step in steps] == [0, 12, 2, 3]


def play(build: Callable[[TaskGraph], Any], **options: Any) -> Executed:
    async def main() -> Executed:
        async with open_graph(**options) as graph:
            build(graph)
            await graph.settle()
        return graph.executed

    return virtual_run(main)


Work = Callable[[Mapping[int, Any]], Awaitable[Any]]


def gives(value: Any, seconds: float = 0.0) -> Work:
    async def work(results: Mapping[int, Any]) -> Any:
        await anyio.sleep(seconds)
        return value

    return work


def raises(error: Exception, seconds: float = 0.0) -> Work:
    async def work(results: Mapping[int, Any]) -> Any:
        await anyio.sleep(seconds)
        raise error

    return work


async def total(results: Mapping[int, Any]) -> Any:
    return sum(results.values())


def states(done: Executed) -> list[str]:
    return [step.state for step in done.steps]


def test_results_reach_those_that_wait_for_them() -> None:
    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=7, work=gives(3)))
        graph.add(Node(id=2, work=gives(4)))
        graph.add(Node(id=9, work=total, after=(7, 2, 7)))

    assert play(build, shown=str).steps[2].result == "7"


def test_a_failure_skips_all_that_depend_on_it_and_nothing_else() -> None:
    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=1, work=raises(ValueError("no")), name="first"))
        graph.add(Node(id=2, work=gives(0), after=(1,)))
        graph.add(Node(id=3, work=gives(0), after=(2,)))
        graph.add(Node(id=4, work=gives(0, 1.0)))

    done = play(build)
    assert states(done) == ["failed", "skipped", "skipped", "succeeded"]
    assert (done.steps[0].error, done.steps[2].error) == ("no", "3: not run, since 2 skipped")


def test_a_node_that_accepts_errors_gets_them_as_values() -> None:
    async def look(results: Mapping[int, Any]) -> str:
        return type(results[1]).__name__

    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=1, work=raises(ValueError("no"))))
        graph.add(Node(id=2, work=look, after=(1,), accepts_errors=True))

    assert play(build, shown=str).steps[1].result == "ValueError"


def test_a_node_added_behind_a_failed_one_is_skipped() -> None:
    async def main() -> list[str]:
        async with open_graph() as graph:
            graph.add(Node(id=1, work=raises(ValueError("no"))))
            await graph.settle()
            graph.add(Node(id=2, work=gives(0), after=(1,)))
            graph.add(Node(id=3, work=gives(0), after=(2,)))
            await graph.settle()
            return states(graph.executed)

    assert virtual_run(main) == ["failed", "skipped", "skipped"]


def test_a_late_node_is_timed_out() -> None:
    done = play(lambda graph: graph.add(Node(id=1, work=gives(0, 9.0), timeout=2.0)))
    assert (states(done), done.makespan) == (["timed_out"], 2.0)


def test_a_timeout_of_the_work_itself_is_its_failure() -> None:
    done = play(lambda graph: graph.add(Node(id=1, work=raises(TimeoutError()), timeout=2.0)))
    assert states(done) == ["failed"]


def test_failing_work_is_tried_again_after_pauses_that_double() -> None:
    node = Node(id=1, work=raises(ValueError(), 1.0), attempts=3, pause=2.0)
    done = play(lambda graph: graph.add(node))
    assert (done.steps[0].attempts, done.makespan) == (3, 1 + 2 + 1 + 4 + 1)


def test_an_error_that_is_not_retryable_is_final() -> None:
    error = ToolError("t", "bad arguments", retryable=False)
    done = play(lambda graph: graph.add(Node(id=1, work=raises(error), attempts=3)))
    assert (done.steps[0].attempts, states(done)) == (1, ["failed"])


def counted(seen: list[int], seconds: float = 1.0) -> Work:
    async def work(results: Mapping[int, Any]) -> int:
        seen.append(1)
        await anyio.sleep(seconds)
        return 5

    return work


@pytest.mark.parametrize(("is_pure", "calls"), [(True, 1), (False, 2)])
def test_equal_work_under_way_is_done_once_and_pure_work_for_good(
    is_pure: bool, calls: int
) -> None:
    seen: list[int] = []

    async def main() -> Executed:
        async with open_graph() as graph:
            for number in (1, 2, 3):
                if number == 3:
                    await graph.settle()
                graph.add(
                    Node(id=number, work=counted(seen), key=lambda results: "k", is_pure=is_pure)
                )
            await graph.settle()
            return graph.executed

    done = virtual_run(main)
    assert len(seen) == calls
    assert [step.same_as for step in done.steps] == [None, 1, 1 if is_pure else None]
    assert done.work == calls


def test_who_shares_a_failing_call_fails_with_it() -> None:
    def build(graph: TaskGraph) -> None:
        for number in (1, 2):
            graph.add(Node(id=number, work=raises(ValueError("no"), 1.0), key=lambda r: "k"))
        graph.add(Node(id=3, work=gives(0), after=(2,)))

    assert states(play(build)) == ["failed", "failed", "skipped"]


def test_a_long_chain_of_equal_pure_work_needs_no_stack() -> None:
    def build(graph: TaskGraph) -> None:
        for number in range(3000):
            after = (number - 1,) if number else ()
            graph.add(Node(id=number, work=gives(1), after=after, key=lambda r: "k", is_pure=True))

    assert set(states(play(build))) == {"succeeded"}


def test_a_long_chain_behind_a_failure_needs_no_stack() -> None:
    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=0, work=raises(ValueError())))
        for number in range(1, 3000):
            graph.add(Node(id=number, work=gives(1), after=(number - 1,)))

    assert states(play(build)) == ["failed"] + ["skipped"] * 2999


def test_lanes_hold_back_their_own_nodes_only() -> None:
    def build(graph: TaskGraph) -> None:
        for number in range(4):
            graph.add(Node(id=number, work=gives(0, 1.0), lanes=("tool:slow",)))
        graph.add(Node(id=9, work=gives(0, 1.0), lanes=("tool:other",)))

    done = play(build, slots=3, limits={"tool:slow": 1})
    assert [step.started for step in done.steps] == [0, 1, 2, 3, 0]


def test_a_node_may_run_in_several_lanes() -> None:
    def build(graph: TaskGraph) -> None:
        for number, lanes in enumerate([("a", "m"), ("b", "m"), ("b",)]):
            graph.add(Node(id=number, work=gives(0, 1.0), lanes=lanes))

    done = play(build, limits={"m": 1, "b": 1})
    assert [step.started for step in done.steps] == [0, 1, 0]


def test_leaving_the_scope_cancels_what_still_runs() -> None:
    async def main() -> Executed:
        async with open_graph() as graph:
            graph.add(Node(id=1, work=gives(0, 50.0)))
            graph.add(Node(id=2, work=gives(0), after=(1,)))
            await anyio.sleep(1.0)
        return graph.executed

    done = virtual_run(main)
    assert (states(done), done.makespan) == (["cancelled", "cancelled"], 1.0)


def test_result_waits_and_raises_what_the_work_raised() -> None:
    async def main() -> Any:
        async with open_graph() as graph:
            graph.add(Node(id=1, work=gives("a", 1.0)))
            graph.add(Node(id=2, work=raises(KeyError("k"), 1.0)))
            with pytest.raises(KeyError):
                await graph.result(2)
            with pytest.raises(ConfigError, match="no node 5"):
                await graph.result(5)
            return await graph.result(1)

    assert virtual_run(main) == "a"


def test_what_cannot_stand_in_a_graph_is_refused() -> None:
    async def main() -> None:
        async with open_graph() as graph:
            graph.add(Node(id=1, work=gives(0)))
            with pytest.raises(ConfigError, match="taken"):
                graph.add(Node(id=1, work=gives(0)))
            with pytest.raises(ConfigError, match="waits for"):
                graph.add(Node(id=2, work=gives(0), after=(3,)))

    virtual_run(main)


@pytest.mark.parametrize("options", [{"slots": 0}, {"limits": {"a": 0}}])
def test_limits_below_one_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        play(lambda graph: None, **options)


def test_changes_are_told_in_order() -> None:
    told: list[str] = []

    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=1, work=gives(0, 1.0)))

    def tell(step: Step) -> None:
        told.append(step.state)

    play(build, on_change=tell)
    assert told == ["pending", "running", "succeeded"]


def test_usual_durations_are_learned_over_graphs() -> None:
    durations = Durations()
    node = Node(id=1, work=gives(0, 3.0), name="search")
    play(lambda graph: graph.add(node), durations=durations)
    assert durations.expected("search") == 3.0
    assert durations.expected("other") == 1.0


def test_a_dependent_starts_at_once_while_nothing_is_added() -> None:
    async def main() -> Executed:
        async with open_graph() as graph:
            graph.add(Node(id=1, work=gives(0, 0.1)))
            graph.add(Node(id=2, work=gives(0, 0.1), after=(1,)))
            await anyio.sleep(5.0)  # the planner is silent
            return graph.executed

    assert virtual_run(main).steps[1].started == pytest.approx(0.1)


def test_an_outer_cancellation_passes_through() -> None:
    async def main() -> bool:
        with anyio.move_on_after(1.0) as scope:
            async with open_graph() as graph:
                graph.add(Node(id=1, work=gives(0, 50.0)))
                await graph.settle()
        return scope.cancelled_caught

    assert virtual_run(main)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_values_and_errors_without_a_text_cost_nothing() -> None:
    def build(graph: TaskGraph) -> None:
        graph.add(Node(id=1, work=raises(Mute())))
        graph.add(Node(id=2, work=gives(Mute())))

    done = play(build)
    assert (done.steps[0].error, done.steps[1].result) == ("<Mute>", "<Mute>")


def test_all_who_wait_for_the_end_hear_of_it() -> None:
    async def main() -> list[str]:
        heard: list[str] = []
        async with open_graph() as graph, anyio.create_task_group() as tasks:

            async def wait(name: str) -> None:
                await graph.settle()
                heard.append(name)

            graph.add(Node(id=1, work=_sleeping(1.0)))
            tasks.start_soon(wait, "a")
            tasks.start_soon(wait, "b")
            await graph.settle()
            graph.add(Node(id=2, work=_sleeping(1.0)))
            tasks.start_soon(wait, "c")
        return sorted(heard)

    assert virtual_run(main) == ["a", "b", "c"]


def _sleeping(seconds: float) -> Any:
    async def work(inputs: Any) -> None:
        await anyio.sleep(seconds)

    return work


def test_work_that_cancels_itself_fails_and_nothing_else_does() -> None:
    async def main() -> Any:
        async def cancels(inputs: Any) -> None:
            inner = asyncio.ensure_future(asyncio.sleep(10))
            asyncio.get_running_loop().call_later(0.1, inner.cancel)
            await inner

        async with open_graph() as graph:
            graph.add(Node(id=1, work=cancels))
            graph.add(Node(id=2, work=_sleeping(1.0)))
            await graph.settle()
        return graph.executed

    executed = virtual_run(main)
    assert [step.state for step in executed.steps] == ["failed", "succeeded"]
    assert "cancelled from within" in executed.steps[0].error


def test_a_key_that_cannot_be_told_fails_its_node_alone() -> None:
    async def main() -> Any:
        def key(inputs: Any) -> Any:
            raise TypeError("unhashable")

        async with open_graph() as graph:
            graph.add(Node(id=1, work=_sleeping(1.0), key=key))
            graph.add(Node(id=2, work=_sleeping(1.0)))
            await graph.settle()
        return graph.executed

    assert [step.state for step in virtual_run(main).steps] == ["failed", "succeeded"]


def test_work_that_is_shared_goes_as_early_as_the_longest_chain_behind_it() -> None:
    async def main() -> Executed:
        same: Callable[[Any], Any] = lambda inputs: "same"  # noqa: E731  # a key
        async with open_graph(slots=1) as graph:
            graph.add(Node(id=0, work=_sleeping(1.0), duration=1.0))
            await anyio.sleep(0.5)
            graph.add(Node(id=1, work=_sleeping(2.0), duration=2.0, key=same))
            graph.add(Node(id=2, work=_sleeping(5.0), duration=5.0))
            graph.add(Node(id=3, work=_sleeping(2.0), duration=2.0, key=same))
            graph.add(Node(id=4, work=_sleeping(9.0), duration=9.0, after=(3,)))
            await graph.settle()
        return graph.executed

    started = {step.id: step.started for step in virtual_run(main).steps}
    assert (started[1], started[4], started[2]) == (1.0, 3.0, 12.0)


def test_waiting_for_a_lane_is_no_overhead() -> None:
    async def main() -> Executed:
        async with open_graph(slots=16, limits={"one": 1}) as graph:
            for number in range(4):
                graph.add(Node(id=number, work=_sleeping(1.0), lanes=("one",)))
            await graph.settle()
        return graph.executed

    executed = virtual_run(main)
    assert (executed.makespan, executed.lower_bound, executed.overhead) == (4.0, 4.0, 0.0)
    assert executed.report()["limits"] == {"one": 1}
