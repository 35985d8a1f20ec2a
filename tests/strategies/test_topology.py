from __future__ import annotations

from itertools import count
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts
from tests.graph.shapes import Shape, shapes
from tests.strategies.scripts import acting, asked, roles, solved
from tts import Strategy
from tts.errors import BackendUnavailable
from tts.layers import Trace
from tts.messages import Request
from tts.routing import TOPOLOGIES, Topology
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

PLAN = "1. q [2, 3]\n2. apples [4]\n3. pears []\n4. boxes []"
ONE = {"use": "self_consistency", "samples": 1}


def found(request: Request) -> str:
    """Answer each sub-task with the length of its name, the question with 9."""
    text = request.messages[0].content
    return f"Answer: {len(text.split('Find ')[1].split('.')[0]) if 'Find ' in text else 9}"


def worker(**changed: Any) -> ScriptedBackend:
    replies: dict[str, Any] = {"decompose": PLAN, "solve": found, "lead": "1. a\n2. b\n3. c"}
    return acting(**{**replies, **changed})


def routed(backend: Any, topology: str = "", **settings: Any) -> tts.Solution:
    policy = {"policy": {"use": "always", "topology": topology}} if topology else {}
    return solved(backend, "topology", **{"worker": ONE, **policy, **settings})


def prompts(backend: ScriptedBackend) -> dict[str, str]:
    """Return the prompts of sub-tasks by name; the question's is `q`."""
    texts = asked(backend, "solve")
    return {
        text.split("Find ")[1].split(".")[0] if "Find " in text else "q": text for text in texts
    }


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_question_comes_last_with_all_answers(topology: str) -> None:
    backend = worker()
    assert routed(backend, topology).answer == "9"
    last = asked(backend, "solve")[-1]
    assert last.startswith("q\n\nKnown:\npears: 5\nboxes: 5\napples: 6\n\nSolve step by step.")


def test_isolated_sub_tasks_are_told_what_they_need_and_nothing_else() -> None:
    chained = "1. a []\n2. bb [1]\n3. ccc [2]\n4. q [3]"
    isolated, staged = worker(decompose=chained), worker(decompose=chained)
    routed(isolated, "parallel")
    routed(staged, "hybrid")
    assert "Known:\nbb: 2\n" in prompts(isolated)["ccc"]
    assert "Known:\na: 1\nbb: 2\n" in prompts(staged)["ccc"]


def test_accumulated_sub_tasks_are_told_everything_before_them() -> None:
    backend = worker()
    routed(backend, "sequential")
    assert "Known" not in prompts(backend)["pears"]
    assert "Known:\npears: 5\nboxes: 5\n" in prompts(backend)["apples"]


def test_a_lead_briefs_each_sub_task() -> None:
    backend = worker(lead="1. mind pears\n2. mind boxes\n3. mind apples")
    routed(backend, "hierarchical")
    assert roles(backend)[:2] == ["decompose", "lead"]
    assert all(f"mind {name}" in prompts(backend)[name] for name in ("pears", "boxes", "apples"))
    assert "mind" not in prompts(backend)["q"]


def test_a_lead_that_says_nothing_is_done_without() -> None:
    backend = worker(lead="Let us begin!")
    solution = routed(backend, "hierarchical")
    assert (solution.answer, solution.parse_failures) == ("9", 1)


def test_edges_are_honoured_and_there_are_no_layer_barriers() -> None:
    """Layers would take 10 + 10 + 1 seconds; the longest chain takes 12."""
    seconds = {"slow": 10.0, "quick": 1.0, "after quick": 10.0}
    plan = "1. slow []\n2. quick []\n3. after quick [2]\n4. q [1, 3]"

    def latency(request: Request) -> float:
        name = request.messages[0].content.partition("Find ")[2].partition(".")[0]
        return seconds.get(name, 1.0 if request.role == "solve" else 0.0)

    for topology in ("parallel", "hybrid"):
        backend = ScriptedBackend(
            lambda r: plan if r.role == "decompose" else found(r), latency=latency
        )
        policy = {"use": "always", "topology": topology}
        strategy = Strategy.parse({"use": "topology", "worker": ONE, "policy": policy})
        assert virtual_run(lambda: lasting(strategy, backend)) == pytest.approx(12.0)  # noqa: B023  # at once


async def lasting(strategy: Strategy, backend: ScriptedBackend) -> float:
    start = anyio.current_time()
    assert (await tts.solve("q", strategy, model=backend)).answer == "9"
    return anyio.current_time() - start


def test_critical_path_is_that_of_the_graph() -> None:
    wide = "1. a []\n2. b []\n3. c []\n4. q [1, 2, 3]"
    side_by_side = routed(worker(decompose=wide), "parallel").usage
    in_line = routed(worker(decompose=wide), "sequential").usage
    assert side_by_side.critical_tokens < in_line.critical_tokens
    assert side_by_side.calls == in_line.calls == 5


@pytest.mark.parametrize("reply", ["no list", "1. only this", "1. a [2]\n2. b [1]", "1. a\n2. a"])
def test_without_a_usable_plan_the_problem_is_solved_whole(reply: str) -> None:
    backend = worker(decompose=reply)
    solution = routed(backend)
    assert (solution.answer, solution.parse_failures) == ("9", 1)
    assert asked(backend, "solve") == asked(worker_alone := whole(), "solve")
    assert roles(worker_alone) == ["solve"]


def whole() -> ScriptedBackend:
    backend = worker()
    solved(backend, "self_consistency", samples=1)
    return backend


def test_where_no_step_is_the_question_it_is_asked_beside_all_of_them() -> None:
    """Three sub-tasks are three, whichever stands last: nothing is left unasked."""
    backend = worker(decompose="1. apples []\n2. pears []\n3. plums []")
    routed(backend)
    assert {"apples", "pears", "plums", "q"} == set(prompts(backend))
    assert "Known:\napples: 6\npears: 5\nplums: 5\n" in prompts(backend)["q"]


def test_the_shape_is_that_of_the_graph_as_it_was_written() -> None:
    """Edges to the question that nobody wrote make no wide graph a chain, and couple nothing."""
    two = routed(worker(decompose="1. apples []\n2. pears []")).notes
    assert (two["tasks"], two["edges"], two["omega"], two["gamma"]) == (2, 0, 2, 0.0)
    assert two["topology_parallel"] == 1
    loose = routed(worker(decompose="1. apples []\n2. pears []\n3. q [1]")).notes
    assert (loose["tasks"], loose["edges"], loose["omega"]) == (3, 1, 2)


def test_a_lead_briefs_every_sub_task_beside_the_question() -> None:
    backend = worker(decompose="1. apples []\n2. pears [1]", lead="1. mind one\n2. mind two")
    routed(backend, "hierarchical")
    assert "mind two" in prompts(backend)["pears"]
    assert "mind" not in prompts(backend)["q"]


def test_a_plan_that_says_nothing_of_needs_is_a_chain() -> None:
    backend = worker(decompose="1. a\n2. b\n3. q")
    notes = routed(backend).notes
    assert (notes["omega"], notes["depth"], notes["edges"]) == (1, 3, 2)
    assert notes["topology_sequential"] == 1


def test_labels_are_asked_for_and_counted() -> None:
    plan = "1. a []\n2. b [1 critical]\n3. q [2 strong, 1 none]"
    backend = worker(decompose_coupled=plan)
    assert routed(backend, labels=True).notes["gamma"] == pytest.approx(1.7 / 3)
    assert roles(backend)[0] == "decompose_coupled"


def disagreeing() -> ScriptedBackend:
    """A model whose answers never agree."""
    numbers = count()
    return worker(solve=lambda request: f"Answer: {next(numbers)}")


THREE = {"use": "self_consistency", "samples": 3, "stop": "never"}


def test_disagreement_among_answers_of_one_sub_task_leads_to_another_topology() -> None:
    wide = "1. a []\n2. b []\n3. c []\n4. q [1, 2, 3]"
    solution = routed(worker(decompose=wide), worker=THREE)
    assert (solution.notes["rounds"], solution.notes["agreement"]) == (1, 1.0)
    solution = routed(disagreeing_on(wide), worker=THREE)
    assert solution.notes["rounds"] == 2
    assert solution.notes["agreement"] == pytest.approx(1 / 3)


def disagreeing_on(plan: str) -> ScriptedBackend:
    numbers = count()
    return worker(decompose=plan, solve=lambda request: f"Answer: {next(numbers)}")


def test_the_round_that_agreed_best_answers() -> None:
    wide = "1. a []\n2. b []\n3. c []\n4. q [1, 2, 3]"
    numbers = count()

    def solve(request: Request) -> str:
        number = next(numbers)
        return f"Answer: {number}" if number < 12 else "Answer: 7"

    solution = routed(worker(decompose=wide, solve=solve), worker=THREE)
    assert (solution.answer, solution.notes["rounds"]) == ("7", 2)


def test_one_sample_agrees_with_itself_whatever_others_say() -> None:
    """Different sub-tasks need not be alike: their answers are never compared."""
    solution = routed(disagreeing(), worker={**THREE, "samples": 1})
    assert (solution.notes["rounds"], solution.notes["agreement"]) == (1, 1.0)


def written(shape: Shape) -> str:
    lines = [
        f"{at}. task {at} [{', '.join(str(need + 1) for need in needs)}]"
        for at, needs in enumerate(shape.after, 1)
    ]
    return "\n".join(lines)


@given(shape=shapes(most=9), most=st.integers(1, 5))
def test_rounds_and_calls_are_bounded_however_answers_disagree(shape: Shape, most: int) -> None:
    backend = disagreeing_on(written(shape))
    samples = THREE["samples"]
    assert isinstance(samples, int)
    solution = routed(backend, worker=THREE, max_rounds=most)
    size = len(shape.after)
    rounds = solution.notes.get("rounds", 1.0)
    assert rounds <= min(most, len(TOPOLOGIES))
    assert solution.usage.calls <= 1 + most * ((size + 1) * samples + 1)  # the question is one more
    assert solution.answer is not None


def test_the_last_vote_is_no_guarantee_of_the_whole() -> None:
    why = routed(worker(), worker={"use": "self_consistency", "samples": 3}).stopped_by
    assert why is not None
    assert why.reason.startswith("the vote of the last sub-task alone: lead ")
    assert why.guarantee is None


@given(shape=shapes(most=9), topology=st.sampled_from(TOPOLOGIES))
def test_no_sub_task_is_asked_before_what_it_needs(shape: Shape, topology: Topology) -> None:
    backend = acting(decompose=written(shape), solve=found, lead="")
    routed(backend, topology)
    order = list(prompts(backend))
    place = {name: at for at, name in enumerate(order)}
    for at, needs in enumerate(shape.after, 1):
        for need in needs:
            if f"task {at}" in place and f"task {need + 1}" in place:
                assert place[f"task {need + 1}"] < place[f"task {at}"]


def test_a_sub_task_that_fails_stays_unknown() -> None:
    lame = FlakyBackend(worker(), lambda r: "Find pears" in r.messages[0].content)
    solution = routed(lame, "hybrid")
    assert solution.answer == "9"
    assert "Known:\nboxes: 5\napples: 6" in str(lame.inner.requests[-1].messages[0].content)  # type: ignore[attr-defined]  # the script's


def test_a_budget_that_ends_leaves_the_best_round() -> None:
    wide = "1. a []\n2. b []\n3. c []\n4. q [1, 2, 3]"
    solution = routed(disagreeing_on(wide), worker=THREE, budget={"calls": 15})
    assert (solution.status, solution.usage.calls) == ("budget_exhausted", 15)
    assert solution.answer is not None


def test_when_nothing_answers_there_is_an_error() -> None:
    with pytest.raises(BackendUnavailable):
        routed(FlakyBackend(worker(), lambda r: r.role == "solve"))


def test_workers_may_be_any_strategy() -> None:
    strategy = Strategy.parse({"use": "topology", "worker": {"use": "best_of_n", "samples": 2}})
    assert "logprobs" in strategy.needs()["solve"]
    assert virtual_run(lambda: tts.solve("q", strategy, model=worker())).answer == "9"


def test_the_trace_holds_the_route_and_the_graph() -> None:
    records: list[dict[str, Any]] = []
    strategy = Strategy.parse({"use": "topology", "worker": ONE})
    virtual_run(lambda: tts.solve("q", strategy, model=worker(), trace=Trace(records.append)))
    events = {record["event"]: record for record in records}
    assert events["topology"]["chosen"] == "hybrid"
    assert [step["state"] for step in events["graph"]["steps"]] == ["succeeded"] * 4


def test_without_an_answer_of_any_round_the_problem_is_solved_whole() -> None:
    def solve(request: Request) -> str:
        return "Answer: 4" if request.messages[0].content.startswith("q\n\nSolve") else "no idea"

    solution = routed(worker(solve=solve), max_rounds=1)
    assert (solution.answer, solution.notes["agreement"]) == ("4", 0.0)
