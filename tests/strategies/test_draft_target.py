from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from tts import Capabilities, ConfigError, Pipeline, Solution
from tts.backends import Given, Meter
from tts.errors import BackendUnavailable
from tts.evals.takeovers import calibrate
from tts.layers import Trace
from tts.messages import Completion, Request, TokenLogprob, Usage
from tts.solver import open_solver
from tts.tasks import for_each
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

STEPS = 4
"""Words of a draft; the last of them is the answer."""


def draft(request: Request) -> Completion:
    """Write one word a turn: `a 1 0`, ... `Answer: 7`; some words are worse than others."""
    done = sum(line in {"good", "bad"} for line in begun(request).splitlines())
    worse = (request.seed or 0) % 3 == 0
    is_last = done == STEPS - 1
    text = "Answer: 7" if is_last else f"{'bad' if worse else 'good'}\n"
    return said(text, "stop" if is_last else "length", "small")


class Reader(ScriptedBackend):
    """Scores bad words worse; when asked to write, writes a fix."""

    def __init__(self, latency: Callable[[Request], float] | float) -> None:
        super().__init__(lambda request: said("fixed\n", "length", "large"), latency=latency)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        completion = await super().generate(request, meter)
        if request.given is None:
            return completion
        words = request.given.splitlines(keepends=True)
        entries = tuple(
            TokenLogprob(token=word, logprob=-3.0 if "bad" in word else -0.1) for word in words
        )
        return completion.model_copy(update={"logprobs": entries})


def said(text: str, finish: Any, model: str) -> Completion:
    usage = Usage(completion_tokens=len(text.split()))
    return Completion(text=text, finish_reason=finish, usage=usage, model=model)


def begun(request: Request) -> str:
    last = request.messages[-1]
    return last.content if last.role == "assistant" else ""


def small(latency: Callable[[Request], float] | float = 0.0) -> ScriptedBackend:
    return ScriptedBackend(draft, latency=latency)


def large(latency: Callable[[Request], float] | float = 0.0) -> ScriptedBackend:
    return Reader(latency)


def pipeline(first: Any, second: Any, **settings: Any) -> Pipeline:
    return Pipeline(
        models={
            "small": Given(backend=first, concurrency=16),
            "large": Given(backend=second, concurrency=4),
        },
        roles={"draft": "small", "target": "large"},
        budget=settings.pop("budget", {}),
        strategy={"use": "draft_target", "samples": 8, "chunk": 8, **settings},  # type: ignore[arg-type]
    )


def solve(opened: Pipeline, seed: int = 0) -> tuple[Solution, list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []

    async def main() -> Solution:
        async with open_solver(opened) as solver:
            return await solver.solve(opened.problem("q"), seed=seed, trace=Trace(records.append))

    return virtual_run(main), records


def takeovers(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["event"] == "takeover"]


def test_the_draft_writes_and_the_target_goes_on_after_what_it_finds_unusual() -> None:
    solution, records = solve(pipeline(small(), large(), lag=1, step=0.0))
    assert solution.answer == "7"
    known = [one for one in takeovers(records) if one["n"] >= 3]
    bad, good = ([one for one in known if one["score"] == score] for score in (3.0, 0.1))
    assert all(one["takes_over"] for one in bad if one["above"] + one["equal"] < 1)
    assert not any(one["takes_over"] for one in good if one["above"] >= 0.4 * (one["n"] + 1))
    assert bad
    assert good
    text = solution.candidates[0].text
    first = [one["takes_over"] for one in takeovers(records) if one["sample"] == 0]
    assert text.count("fixed") == sum(first)


def test_each_turn_scores_only_what_is_new() -> None:
    scorer = large()
    _, records = solve(pipeline(small(), scorer, samples=1, rate=0.01))
    given = [request.given for request in scorer.requests if request.given is not None]
    assert len(given) == STEPS
    assert all(later.startswith(earlier) for earlier, later in pairwise(given))
    assert {one["score"] for one in takeovers(records)} <= {0.1, 3.0}


def test_replaced_chunks_leave_the_text() -> None:
    solution, records = solve(pipeline(small(), large(), takeover="replace", lag=1, rate=0.9))
    lines = [line for one in solution.candidates for line in one.text.splitlines()]
    taken = [one for one in takeovers(records) if one["takes_over"]]
    assert lines.count("fixed") == len(taken) > 0


def test_decisions_do_not_depend_on_what_finishes_first() -> None:
    def slow(request: Request) -> float:
        return 1.0 + (request.seed or 0) % 17

    def told(latency: Callable[[Request], float] | float) -> list[tuple[Any, ...]]:
        _, records = solve(pipeline(small(latency), large(latency), lag=3))
        keys = ("sample", "turn", "above", "equal", "n", "u", "level", "takes_over")
        return sorted(tuple(one[key] for key in keys) for one in takeovers(records))

    assert told(0.0) == told(slow) == told(lambda request: 20.0 - slow(request))


def test_samples_run_at_once_and_each_model_keeps_its_limit() -> None:
    writer, reader = small(1.0), large(1.0)
    solve(pipeline(writer, reader, samples=12, lag=12))
    assert writer.most_active == 12
    assert reader.most_active == 4


def test_a_slow_sample_holds_up_nobody_who_is_calibrated_on_other_problems() -> None:
    def slow(request: Request) -> float:
        return 1000.0 if request.span.endswith("/0") and request.role == "draft" else 1.0

    calibration = {"problems": [[[0, 0.1], [0, 3.0]], [[0, 0.1]]]}
    settings: dict[str, Any] = {"mode": "marginal", "calibration": calibration}
    _, records = solve(pipeline(small(slow), large(1.0), **settings))
    last = takeovers(records)[-STEPS:]
    assert {one["sample"] for one in last} == {0}


def test_first_turns_of_later_samples_wait_for_the_earlier_ones() -> None:
    def slow(request: Request) -> float:
        return 100.0 if request.span.endswith("/0") and request.role == "draft" else 1.0

    _, records = solve(pipeline(small(slow), large(1.0), samples=4, lag=2))
    order = [(one["sample"], one["turn"]) for one in takeovers(records)]
    assert order.index((1, 0)) < order.index((0, 0)) < order.index((2, 0))


@pytest.mark.parametrize("mode", ["conditional", "rank_then_select"])
def test_a_draft_that_fails_leaves_its_turn_to_the_target(mode: str) -> None:
    down = FlakyBackend(small(), lambda request: request.role == "draft" and not begun(request))
    solution, _ = solve(pipeline(down, large(), samples=3, mode=mode))
    assert [one.text.startswith("fixed\n") for one in solution.candidates] == [True] * 3
    assert solution.failed_by_role == {"draft": 3}
    assert solution.status == "ok"


@pytest.mark.parametrize("mode", ["conditional", "rank_then_select"])
def test_what_cannot_be_scored_goes_to_the_target(mode: str) -> None:
    blind = FlakyBackend(large(), lambda request: request.given is not None)
    solution, _ = solve(pipeline(small(), blind, samples=3, turns=2, mode=mode))
    assert all(one.text.count("fixed") == 2 for one in solution.candidates)


def test_a_target_that_fails_loses_the_sample_rather_than_let_it_pass() -> None:
    down = FlakyBackend(
        large(), lambda request: request.given is None and request.span.endswith("/1")
    )
    solution, _ = solve(pipeline(small(), down, samples=4, rate=0.99, lag=1))
    assert [one.ticket for one in solution.candidates] == [0, 2, 3]


def test_a_dead_target_is_one_error() -> None:
    dead = FlakyBackend(large(), lambda request: True)
    with pytest.raises(BackendUnavailable):
        solve(pipeline(small(), dead))


def test_takeovers_of_a_text_can_be_limited() -> None:
    solution, records = solve(pipeline(small(), large(), rate=0.99, most_takeovers=1))
    assert all(one.text.count("fixed") <= 1 for one in solution.candidates)
    assert any(len([e for e in takeovers(records) if e["sample"] == i]) < 3 for i in range(8))


@pytest.mark.parametrize("mode", ["conditional", "rank_then_select"])
def test_turns_are_limited_and_the_text_is_then_cut(mode: str) -> None:
    solution, _ = solve(pipeline(small(), large(), turns=2, mode=mode))
    assert solution.answer is None
    assert solution.status == "no_answer"
    assert {one.completion.finish_reason for one in solution.candidates} == {"length"}


def test_the_baseline_hands_the_worst_of_each_turn_to_the_target_at_once() -> None:
    writer = small(lambda request: float(request.span[-1]))
    solution, records = solve(pipeline(writer, large(1.0), mode="rank_then_select", rate=0.25))
    assert solution.answer == "7"
    assert solution.notes["target_tokens"] > 0
    starts = [e["start"] for e in records if e["event"] == "call" and e["role"] == "draft"]
    assert len(starts) == 8 * solution.notes["turns"]
    rounds = max(text.text.count("\n") for text in solution.candidates) + 1
    assert abs(solution.notes["target_tokens"] - 0.25 * len(starts)) < rounds


def test_rates_and_tokens_are_told() -> None:
    solution, records = solve(pipeline(small(), large()))
    notes = solution.notes
    assert notes["decisions"] == len(takeovers(records)) == 8 * notes["turns"]
    assert notes["takeovers"] == sum(one["takes_over"] for one in takeovers(records))
    assert notes["unscored"] == 0
    assert notes["draft_tokens"] == 8 * (STEPS - 1) + 8 * 2
    assert notes["target_tokens"] == notes["takeovers"]
    assert 0.0 <= notes["takeover_rate_0"] <= 1.0
    assert solution.candidates[0].completion.model in {"small", "small+large"}
    (control,) = [record for record in records if record["event"] == "control"]
    assert "correctness" in control["guarantee"]


def test_when_the_budget_ends_the_answers_so_far_vote() -> None:
    full, _ = solve(pipeline(small(), large(), samples=4, rate=0.01))
    for calls in range(1, full.usage.calls, 3):
        solution, _ = solve(
            pipeline(small(), large(), samples=4, rate=0.01, budget={"calls": calls})
        )
        assert solution.usage.calls <= calls
        assert solution.status == "budget_exhausted"
        assert (solution.answer == "7") is bool(solution.candidates)


@pytest.mark.parametrize("mode", ["conditional", "rank_then_select"])
def test_a_text_that_failed_has_no_vote_when_the_budget_ends(mode: str) -> None:
    def wrong_first(request: Request) -> Completion:
        if not begun(request) and request.span.endswith("/1"):
            return said("Answer: 9\n", "length", "small")
        return draft(request)

    down = FlakyBackend(
        large(), lambda request: request.given is None and request.span.endswith("/1")
    )
    for calls in range(4, 40):
        solution, _ = solve(
            pipeline(
                ScriptedBackend(wrong_first),
                down,
                samples=2,
                rate=0.99,
                mode=mode,
                budget={"calls": calls},
            )
        )
        if solution.failed_by_role.get("target"):
            assert solution.answer in {None, "7"}
            assert [one.ticket for one in solution.candidates] in ([], [0])


def carried(
    problems: int,
    *,
    at_once: int = 1,
    latency: Callable[[Request], float] | float = 0.0,
    **more: Any,
) -> list[list[dict[str, Any]]]:
    """Solve problems with one solver; return the trace of each."""
    opened = pipeline(small(latency), large(latency), lag=2, step=0.1, **more)
    records: list[list[dict[str, Any]]] = [[] for _ in range(problems)]

    async def main() -> None:
        slots = anyio.Semaphore(at_once)
        async with open_solver(opened) as solver:

            async def solve_one(number: int) -> None:
                async with slots:
                    trace = Trace(records[number].append)
                    await solver.solve(opened.problem(f"q{number}"), seed=number, trace=trace)

            await for_each(solve_one, range(problems))

    virtual_run(main)
    return records


def first_levels(records: list[list[dict[str, Any]]]) -> list[float]:
    """Return the level at which each problem's first sample was decided in its first turn."""
    return [
        one["level"] for own in records for one in takeovers(own) if not one["sample"] + one["turn"]
    ]


def test_levels_go_on_from_problem_to_problem() -> None:
    records = carried(6, carry=1, samples=4)
    taken = [[one["takes_over"] for one in takeovers(own) if one["turn"] == 0] for own in records]
    levels = [0.4]
    for own in taken:
        levels.append(levels[-1] + 0.1 * (0.4 * len(own) - sum(own)))
    assert first_levels(records) == pytest.approx(levels[:-1])
    assert len(set(levels)) > 2
    assert set(first_levels(carried(6, samples=4))) == {0.4}
    (control,) = [one for one in records[1] if one["event"] == "control"]
    assert control["before"]["decisions"][0] == 4
    assert "over all problems of this solver" in control["guarantee"]


@pytest.mark.parametrize("mode", ["conditional", "marginal"])
def test_what_is_carried_follows_the_order_of_problems_not_of_finishing(mode: str) -> None:
    more: dict[str, Any] = {"mode": mode, "carry": 3, "samples": 4}
    if mode == "marginal":
        more |= {"calibration": {"problems": [[[0, 0.1], [0, 3.0]], [[0, 0.1]]]}}

    def slow(request: Request) -> float:
        return 1.0 + (request.seed or 0) % 17

    def told(**how: Any) -> list[list[tuple[Any, ...]]]:
        keys = ("sample", "turn", "above", "level", "takes_over")
        return [
            sorted(tuple(one[key] for key in keys) for one in takeovers(own))
            for own in carried(7, **how, **more)
        ]

    alone = told()
    assert (
        alone == told(at_once=3) == told(at_once=7, latency=slow) == told(at_once=2, latency=slow)
    )


def test_problems_wait_only_for_those_that_began_long_enough_before() -> None:
    def slow(request: Request) -> float:
        return 500.0 if "q0" in request.messages[0].content else 1.0

    def ends(carry: int) -> list[float]:
        opened = pipeline(small(slow), large(slow), carry=carry, samples=2)
        ended = [0.0] * 3

        async def main() -> None:
            async with open_solver(opened) as solver:

                async def solve_one(number: int) -> None:
                    await solver.solve(opened.problem(f"q{number}"))
                    ended[number] = anyio.current_time()

                await for_each(solve_one, range(3))

        virtual_run(main)
        return ended

    first, second, third = ends(2)
    assert second < 100.0 < 500.0 < first < third
    assert max(ends(3)[1:]) < 100.0


def test_a_budget_ends_the_wait_for_earlier_problems() -> None:
    opened = pipeline(small(50.0), large(50.0), carry=1, samples=2, budget={"seconds": 60})
    found: list[Solution] = []

    async def main() -> float:
        async with open_solver(opened) as solver:

            async def solve_one(number: int) -> None:
                found.append(await solver.solve(opened.problem(f"q{number}")))

            await for_each(solve_one, range(2))
            return anyio.current_time()

    assert virtual_run(main) == pytest.approx(60.0)
    assert [one.status for one in found] == ["budget_exhausted"] * 2
    assert sorted(one.usage.calls > 0 for one in found) == [False, True]


def test_a_problem_that_dies_lets_the_next_ones_go_on() -> None:
    dead = FlakyBackend(large(), lambda request: "q0" in request.messages[0].content)
    opened = pipeline(small(), dead, carry=1, samples=2)

    async def main() -> Solution:
        async with open_solver(opened) as solver:
            with pytest.raises(BackendUnavailable):
                await solver.solve(opened.problem("q0"))
            return await solver.solve(opened.problem("q1"))

    assert virtual_run(main).answer == "7"


def test_what_cannot_be_carried_is_refused() -> None:
    for settings in ({"mode": "rank_then_select"}, {"step": 0.0}):
        with pytest.raises(ValueError, match="carry needs levels that move"):
            pipeline(small(), large(), carry=1, **settings)


@pytest.mark.parametrize(
    ("role", "lacking"), [("draft", "prefill"), ("target", "prefill"), ("target", "score")]
)
def test_model_that_lacks_an_ability_is_refused_before_the_first_call(
    role: str, lacking: str
) -> None:
    can = Capabilities(score=True, prefill=True).model_copy(update={lacking: False})
    models = {"draft": small(), "target": large()}
    models[role].capabilities = can
    with pytest.raises(ConfigError, match=f"needs '{lacking}'"):
        solve(pipeline(models["draft"], models["target"]))
    assert models["draft"].requests == models["target"].requests == []


def test_calibration_belongs_to_its_mode() -> None:
    with pytest.raises(ValueError, match="needs a calibration"):
        pipeline(small(), large(), mode="marginal")
    with pytest.raises(ValueError, match="needs a calibration"):
        pipeline(small(), large(), calibration={"problems": [[[0, 1.0]]]})
    with pytest.raises(ValueError, match="ascend"):
        pipeline(small(), large(), buckets=[1, 2])
    with pytest.raises(ValueError, match="cannot read"):
        pipeline(small(), large(), mode="marginal", calibration="none.json")


def test_scores_of_other_problems_calibrate_the_pipeline_they_were_made_with(
    tmp_path: Path,
) -> None:
    plain = pipeline(small(), large())

    async def main() -> str:
        scores = await calibrate(plain, [plain.problem(f"q{n}") for n in range(6)])
        return scores.model_dump_json()

    path = tmp_path / "scores.json"
    path.write_text(virtual_run(main))
    assert len(json.loads(path.read_text())["problems"]) == 6
    settings: dict[str, Any] = {"mode": "marginal", "calibration": str(path)}
    solution, records = solve(pipeline(small(), large(), **settings))
    assert solution.answer == "7"
    assert {one["n"] for one in takeovers(records)} == {6}
    with pytest.raises(ConfigError, match=r"strategy\.chunk: was 8, is 9"):
        solve(pipeline(small(), large(), chunk=9, **settings))
    other, _ = solve(pipeline(small(), large(), chunk=9, allow_mismatch=True, **settings))
    assert other.answer == "7"


def test_cancelled_samples_leave_nobody_waiting() -> None:
    async def main() -> int:
        opened = pipeline(small(1.0), large(1.0))
        async with open_solver(opened) as solver:
            with anyio.move_on_after(3.5):
                await solver.solve(opened.problem("q"))
            return solver.in_flight

    assert virtual_run(main) == 0
