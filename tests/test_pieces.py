from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.play import answering, play
from tts import BackendUnavailable, Completion, Meter, Request, Usage
from tts.backends import Capabilities, Price
from tts.layers import Budget
from tts.run import Run
from tts.testing import FlakyBackend


class Talker:
    """Says its words one a second, as they come to it."""

    name = "talker"
    capabilities = Capabilities(stream=True)
    price = Price(input=0.0, output=0.0)

    def __init__(self, *words: str) -> None:
        self.words = words

    def prompt_tokens(self, request: Request) -> int:
        return 3

    async def generate(self, request: Request, meter: Meter) -> Completion:
        meter.prompt_tokens = 3
        for word in self.words:
            await anyio.sleep(1)
            meter.completion_tokens += 1
            meter.hear(word)
        usage = Usage(prompt_tokens=3, completion_tokens=len(self.words))
        return Completion(text="".join(self.words), usage=usage, model=self.name)


def test_on_token_hears_each_piece_when_it_comes() -> None:
    heard: list[tuple[float, str]] = []

    async def work(run: Run) -> str:
        began = anyio.current_time()
        completion = await run.generate(
            "Q", on_token=lambda piece: heard.append((anyio.current_time() - began, piece))
        )
        return completion.text

    assert play(Talker("a", "b"), work).value == "ab"
    assert heard == [(1, "a"), (2, "b")]


def test_a_model_that_cannot_stream_is_heard_at_once() -> None:
    heard: list[str] = []

    async def work(run: Run) -> Any:
        return await run.generate("Q", on_token=heard.append)

    play(answering(["7"]), work)
    assert heard == ["Answer: 7"]


def test_what_the_listener_raises_ends_the_call_and_its_tokens_are_charged() -> None:
    async def work(run: Run) -> None:
        def stop(piece: str) -> None:
            raise LookupError(piece)

        with pytest.raises(LookupError, match="a"):
            await run.generate("Q", on_token=stop)

    played = play(Talker("a", "b"), work)
    assert played.solution.usage.completion_tokens == 1
    assert played.rig.account.promised == (0, 0, 0)
    assert played.rig.limited.in_flight == 0


def test_a_stream_is_read_piece_by_piece() -> None:
    async def work(run: Run) -> Any:
        async with run.stream("Q") as pieces:
            texts = [piece async for piece in pieces]
        assert pieces.completion is not None
        return texts, pieces.completion.text

    assert play(Talker("a", "b", "c"), work).value == (["a", "b", "c"], "abc")


def test_leaving_a_stream_ends_the_call_and_charges_what_was_made() -> None:
    async def work(run: Run) -> str:
        async with run.stream("Q") as pieces:
            async for piece in pieces:
                return piece
        raise AssertionError

    played = play(Talker("a", "b", "c"), work, budget=Budget(total_tokens=2000))
    usage = played.solution.usage
    assert (played.value, usage.completion_tokens, usage.cancelled_calls) == ("a", 1, 1)
    assert played.rig.account.spent.tokens == 4
    assert played.rig.account.promised == (0, 0, 0)
    assert played.rig.limited.in_flight == 0
    assert usage.wall_seconds < 1  # of a virtual day: nobody waited for the rest


def test_a_failing_stream_raises_its_error_from_the_block() -> None:
    async def work(run: Run) -> None:
        with pytest.raises(BackendUnavailable):
            async with run.stream("Q") as pieces:
                async for _ in pieces:
                    raise AssertionError

    play(FlakyBackend(Talker("a"), lambda request: True), work)


def test_a_stream_takes_the_same_place_in_the_run_as_a_call() -> None:
    async def work(run: Run) -> None:
        async with run.stream("Q", role="solve", max_tokens=9) as pieces:
            [_ async for _ in pieces]
        await run.generate("Q")

    backend = answering(["1", "2"])
    play(backend, work)
    assert [(r.ticket, r.max_tokens) for r in backend.requests] == [(0, 9), (1, 1024)]
