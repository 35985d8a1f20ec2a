"""Samples that ask several prompts, and what a draw leaves that is cut off."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.play import play
from tts import Candidate, Completion, Meter, Request, Run
from tts.prompts import Prompt
from tts.testing import ScriptedBackend


class Speaking(ScriptedBackend):
    """Says a word a second."""

    async def generate(self, request: Request, meter: Meter) -> Completion:
        words = str(self._answer(request)).split()
        meter.prompt_tokens = self.prompt_tokens(request)
        for word in words:
            await anyio.sleep(1.0)
            meter.completion_tokens += 1
            meter.hear(f"{word} ")
        return await super().generate(request, Meter())


def speaking(*lengths: int) -> Speaking:
    return Speaking(lambda request: "so " * (lengths[request.ticket] - 2) + "Answer: 7")


async def first(run: Run, n: int, enough: int, *, keep_cut: bool = True) -> list[Candidate]:
    async with run.sample("Q", n, order="completion", keep_cut=keep_cut) as samples:
        finished = 0
        async for _ in samples:
            finished += 1
            if finished == enough:
                break
    return samples.cut


def test_cut_draws_leave_what_they_said_as_unfinished() -> None:
    played = play(speaking(4, 9, 6), lambda run: first(run, 3, 1))
    cut: list[Candidate] = played.value
    assert [(one.ticket, one.text) for one in cut] == [(1, "so so so so "), (2, "so so so so ")]
    assert {(one.completion.finish_reason, one.answer) for one in cut} == {("length", None)}
    assert all(one.completion.usage.estimated for one in cut)
    assert played.solution.samples == 1


def test_cut_draws_are_charged_and_on_the_critical_path() -> None:
    usage = play(speaking(4, 9, 6), lambda run: first(run, 3, 1)).solution.usage
    assert (usage.calls, usage.cancelled_calls) == (3, 2)
    assert usage.total_tokens == 3 * (1 + 4)
    assert usage.critical_tokens == 1 + 4


def test_draws_that_finish_unconsumed_are_kept_whole() -> None:
    backend = ScriptedBackend(lambda request: f"Answer: {request.ticket}")
    played = play(backend, lambda run: first(run, 4, 2))
    cut: list[Candidate] = played.value
    assert [(one.answer, one.completion.finish_reason) for one in cut] == [
        ("2", "stop"),
        ("3", "stop"),
    ]
    usage = played.solution.usage
    assert (usage.calls, usage.cancelled_calls) == (4, 0)


@pytest.mark.parametrize("keep_cut", [True, False])
def test_nothing_is_cut_when_all_are_waited_for(keep_cut: bool) -> None:
    played = play(speaking(4, 3, 6), lambda run: first(run, 3, 3, keep_cut=keep_cut))
    assert (played.value, played.solution.samples) == ([], 3)


def test_without_keep_cut_nobody_listens() -> None:
    assert play(speaking(4, 9), lambda run: first(run, 2, 1, keep_cut=False)).value == []


def test_a_model_that_does_not_stream_leaves_nothing() -> None:
    backend = ScriptedBackend(lambda r: "Answer: 7", latency=lambda request: 1.0 + request.ticket)
    assert play(backend, lambda run: first(run, 3, 1)).value == []
    assert backend.active == 0


@given(st.integers(1, 4), st.integers(1, 9))
def test_several_prompts_are_asked_in_turn(prompts: int, n: int) -> None:
    backend = ScriptedBackend(lambda request: "Answer: 7")
    asked = [Prompt.of(str(at), "walk") for at in range(prompts)]

    async def work(run: Run) -> list[int]:
        async with run.sample(asked, n) as samples:
            return [one.ticket async for one in samples]

    played = play(backend, work)
    assert played.value == list(range(n))
    assert {(r.ticket, r.messages[0].content, r.role) for r in backend.requests} == {
        (at, str(at % prompts), "walk") for at in range(n)
    }
