"""The seconds of the longest chain of calls, where calls are more than one after the other."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts
from tests.play import Played, drawn, noise, play
from tts.backends import Backend, Given, Meter, Retry
from tts.errors import BackendUnavailable
from tts.evals.keeping import Kept, open_calls
from tts.messages import Completion, Request
from tts.run import Run
from tts.strategies.compiler import Compiler
from tts.testing import FlakyBackend, ScriptedBackend, SpeakingBackend, virtual_run
from tts.tools import tool


def seconds(played: Played) -> float:
    return played.solution.usage.critical_seconds


def slow(latency: float = 2.0) -> ScriptedBackend:
    return ScriptedBackend(lambda request: "Answer: 7", latency=latency)


def test_waiting_for_a_permit_counts() -> None:
    assert seconds(play(slow(), lambda run: drawn(run, 3))) == pytest.approx(2.0)
    assert seconds(play(slow(), lambda run: drawn(run, 3), concurrency=1)) == pytest.approx(6.0)


class Late(FlakyBackend):
    """Takes its time to fail."""

    async def generate(self, request: Request, meter: Meter) -> Completion:
        await anyio.sleep(3.0)
        return await super().generate(request, meter)


def test_whoever_waited_for_a_failure_has_waited() -> None:
    async def work(run: Run) -> None:
        with pytest.raises(BackendUnavailable):
            await run.generate("Q")

    assert seconds(play(Late(slow(), lambda request: True), work)) == pytest.approx(3.0)


def test_whoever_cancelled_a_call_has_waited_until_then() -> None:
    async def work(run: Run) -> None:
        with anyio.move_on_after(1.5):
            await run.generate("Q")

    assert seconds(play(slow(), work)) == pytest.approx(1.5)


def test_a_draw_that_nobody_consumed_is_on_no_chain() -> None:
    async def work(run: Run) -> None:
        async with run.sample("Q", 2, order="completion") as samples:
            await anext(samples)

    backend = ScriptedBackend(lambda request: "a", latency=lambda request: 1.0 + 9 * request.ticket)
    assert seconds(play(backend, work)) == pytest.approx(1.0)


def test_a_kept_call_takes_as_long_as_when_it_was_made(tmp_path: Path) -> None:
    async def work(run: Run) -> float:
        start = anyio.current_time()
        await run.map(run.generate, ["a", "b", "c"])
        await run.generate("d")
        return anyio.current_time() - start

    made = ScriptedBackend(lambda request: "a", latency=noise("kept"))
    with open_calls(tmp_path / "calls.sqlite") as store:
        first, again = (play(Kept(made, store, {}), work) for _ in range(2))
    assert len(made.requests) == 4
    assert first.value > 0.0 == again.value
    assert seconds(again) == pytest.approx(seconds(first)) == pytest.approx(first.value)
    told = [record for record in again.rig.records if record["event"] == "call"]
    assert sorted(call["seconds"] for call in told) == pytest.approx(
        sorted(map(noise("kept"), made.requests))
    )
    assert not any("seconds" in record for record in first.rig.records)
    costs = {"wall_seconds": 0.0, "critical_seconds": 0.0}
    one, two = (each.solution.usage.model_copy(update=costs) for each in (first, again))
    assert one == two


@tool(timeout=1e3)
async def rest(seconds: float, after: object = None) -> float:
    """Take so many seconds."""
    await anyio.sleep(seconds)
    return seconds


@tool(timeout=1e3)
async def ask(run: Run) -> str:
    """Ask a model, and take a second more."""
    await anyio.sleep(1.0)
    return (await run.generate("Q")).text


def test_functions_take_time_and_the_calls_in_them_do_not_count_twice() -> None:
    async def work(run: Run) -> None:
        await run.call(rest, {"seconds": 4.0})
        await run.call(ask, {})

    played = play(slow(2.0), work)
    assert seconds(played) == pytest.approx(4.0 + 1.0 + 2.0)
    assert played.solution.usage.critical_tokens == played.solution.usage.total_tokens


def test_kept_calls_in_a_function_take_as_long_as_when_they_were_made(tmp_path: Path) -> None:
    with open_calls(tmp_path / "calls.sqlite") as store:
        kept = Kept(slow(2.0), store, {})
        told = [seconds(play(kept, lambda run: run.call(ask, {}))) for _ in range(2)]
    assert told == pytest.approx([3.0, 2.0])  # the function's own second passes beside them


def planner(pieces: list[str], pause: float) -> SpeakingBackend:
    return SpeakingBackend({"plan": [pieces], "join": ["Finish: yes"]}, pause=pause)


def compiled(backend: Backend) -> tuple[tts.Solution, float]:
    model = Given(backend=backend, retry=Retry(attempts=1))
    strategy = Compiler(tools=(rest,), fallback=False)  # type: ignore[arg-type]  # parsed by the field

    async def main() -> tuple[tts.Solution, float]:
        solution = await tts.solve("q?", strategy, model=model)
        return solution, anyio.current_time()

    return virtual_run(main)


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(1, 9)), min_size=1, max_size=9
)


@settings(max_examples=60)
@given(STEPS, st.sampled_from([0.0, 0.5, 2.0]), st.booleans())
def test_a_plan_takes_the_seconds_of_its_longest_chain(
    steps: list[tuple[int, int | None]], pause: float, has_join: bool
) -> None:
    """Calls that run while the plan is written, wait for each other, or share one call."""
    lines = []
    for number, (takes, after) in enumerate(steps, 1):
        before = "" if after is None or after >= number else f", after=${after}"
        lines.append(f"{number}. rest({takes}{before})\n")
    if has_join:
        lines.append(f"{len(steps) + 1}. join()\n")
    solution, passed = compiled(planner(lines, pause))
    assert solution.answer == "yes"
    assert solution.usage.critical_seconds == pytest.approx(passed)
    assert solution.usage.critical_tokens == solution.usage.total_tokens


def test_calls_of_a_kept_plan_begin_when_it_was_there(tmp_path: Path) -> None:
    model = planner(["1. rest(5)\n", "2. rest(1)\n"], pause=1.0)
    with open_calls(tmp_path / "calls.sqlite") as store:
        first, again = (compiled(Kept(model, store, {}))[0].usage for _ in range(2))
    assert first.critical_seconds == pytest.approx(1.0 + 5.0 + 1.0)  # read while it was written
    assert again.critical_seconds == pytest.approx(2.0 + 5.0 + 1.0)
    assert first.critical_tokens == again.critical_tokens
