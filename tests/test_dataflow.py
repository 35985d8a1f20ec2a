"""Work that depends on other work, in a run: order, clocks, seeds, budgets. Times are virtual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.shapes import Shape, shapes
from tests.play import noise, play
from tts.errors import ConfigError
from tts.layers import Budget
from tts.messages import Request
from tts.run import Run
from tts.testing import FlakyBackend, ScriptedBackend

DIAMOND = ((), (0,), (0,), (1, 2))


def seed_of(request: Request) -> str:
    return f"{request.messages[0].content} {request.seed}"


async def asked(run: Run, needs: Sequence[Sequence[int]], slots: int = 64) -> list[str | None]:
    async def work(at: int, found: Mapping[int, str | None]) -> str:
        assert list(found) == list(needs[at])
        return (await run.generate(f"piece {at}")).text

    return await run.flow(work, needs, concurrency=slots)


@given(shape=shapes(), slots=st.integers(1, 4), salt=st.integers(0, 99))
def test_seeds_follow_from_places_and_never_from_timing(
    shape: Shape, slots: int, salt: int
) -> None:
    alone = ScriptedBackend(seed_of)
    busy = ScriptedBackend(seed_of, latency=noise(salt))
    value = play(busy, lambda run: asked(run, shape.after, slots)).value
    assert value == play(alone, lambda run: asked(run, shape.after, 1)).value
    assert busy.most_active <= slots
    assert len(set(value)) == len(shape.after)


@given(shape=shapes(most=8), slots=st.integers(1, 3))
def test_critical_path_is_the_graphs_longest_chain(shape: Shape, slots: int) -> None:
    """Each piece spends its duration in tokens: two of the prompt, the rest said."""
    backend = ScriptedBackend(
        lambda r: "word " * (int(shape.durations[int(r.messages[0].content.split()[1])]))
    )
    played = play(backend, lambda run: asked(run, shape.after, slots))
    ends: list[float] = []
    for at, needs in enumerate(shape.after):
        ends.append(2 + shape.durations[at] + max((ends[need] for need in needs), default=0))
    usage = played.solution.usage
    assert usage.critical_tokens == max(ends)
    assert usage.total_tokens == sum(shape.durations) + 2 * len(shape.durations)


@given(shape=shapes(most=8))
def test_pieces_start_the_moment_their_inputs_exist(shape: Shape) -> None:
    async def work(run: Run) -> float:
        async def sleep(at: int, found: Mapping[int, None]) -> None:
            await anyio.sleep(shape.durations[at])

        start = anyio.current_time()
        await run.flow(sleep, shape.after)
        return anyio.current_time() - start

    ends: list[float] = []
    for at, needs in enumerate(shape.after):
        ends.append(shape.durations[at] + max((ends[need] for need in needs), default=0))
    assert play(ScriptedBackend([]), work).value == max(ends)


def test_a_piece_that_fails_gives_none_to_those_that_need_it() -> None:
    backend = FlakyBackend(
        ScriptedBackend(lambda r: "text"), lambda r: r.messages[0].content == "piece 1"
    )
    played = play(backend, lambda run: asked(run, DIAMOND))
    assert played.value == ["text", None, "text", "text"]


def test_what_the_budget_refuses_is_none() -> None:
    backend = ScriptedBackend(lambda r: "text")
    played = play(backend, lambda run: asked(run, DIAMOND), budget=Budget(calls=3))
    assert played.value == ["text", "text", "text", None]
    assert played.solution.status == "budget_exhausted"


def test_a_bug_in_the_work_is_raised() -> None:
    async def work(run: Run) -> None:
        async def broken(at: int, found: Mapping[int, None]) -> None:
            raise ZeroDivisionError

        await run.flow(broken, DIAMOND)

    with pytest.raises(ZeroDivisionError):
        play(ScriptedBackend([]), work)


@pytest.mark.parametrize("needs", [[[0]], [[1], []], [[], [7]]])
def test_needs_that_do_not_stand_before_are_refused(needs: list[list[int]]) -> None:
    with pytest.raises(ConfigError, match="add those before it"):
        play(ScriptedBackend(lambda r: "text"), lambda run: asked(run, needs))


def test_leaving_cancels_what_is_under_way() -> None:
    backend = ScriptedBackend(lambda r: "text", latency=10.0)

    async def work(run: Run) -> None:
        with anyio.move_on_after(1):
            await asked(run, DIAMOND)

    play(backend, work)
    assert backend.active == 0
