from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tts import Message, Request
from tts.backends import Meter, Price
from tts.errors import BackendUnavailable
from tts.evals.keeping import Kept, open_calls
from tts.layers import Layer
from tts.messages import Completion
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

ASKED = Request(messages=(Message(role="user", content="two words"),), seed=1)


class Twice(Layer):
    """Spends a failed attempt before each answer."""

    async def generate(self, request: Request, meter: Meter) -> Completion:
        attempt = meter.attempt()
        attempt.start()
        attempt.prompt_tokens = 2
        answer = meter.attempt()
        answer.start()
        completion = await self.inner.generate(request, answer)
        meter.add(attempt)
        meter.add(answer)
        return completion


def ask(path: Path, model: ScriptedBackend, *requests: Request, twice: bool = False) -> list[Meter]:
    async def main() -> list[Meter]:
        meters = []
        with open_calls(path) as store:
            kept = Kept(Twice(model) if twice else model, store, {"model": "m"})
            for request in requests:
                meter = Meter()
                await kept.generate(request, meter)
                meters.append(meter)
        return meters

    return anyio.run(main)


def test_a_finished_call_is_made_once_and_paid_for_each_time(tmp_path: Path) -> None:
    path, model = tmp_path / "calls.sqlite", ScriptedBackend(lambda request: "a b c")
    (first,) = ask(path, model, ASKED, twice=True)
    (again,) = ask(path, model, ASKED.model_copy(update={"ticket": 3, "role": "x"}), twice=True)
    assert len(model.requests) == 1
    assert (again.prompt_tokens, again.completion_tokens, again.attempts) == (4, 3, 2)
    assert again.total_tokens == first.total_tokens
    assert again.started
    assert not again.cached


def test_other_draws_are_other_calls_even_of_a_model_that_does_not_sample(tmp_path: Path) -> None:
    model = ScriptedBackend(lambda request: "a")
    greedy = ASKED.model_copy(update={"temperature": 0.0})
    ask(tmp_path / "c", model, greedy, greedy.model_copy(update={"seed": 2}))
    assert len(model.requests) == 2


def test_who_reads_more_of_each_token_asks_again_and_who_reads_less_does_not(
    tmp_path: Path,
) -> None:
    model = ScriptedBackend(lambda request: "a")
    more = ASKED.model_copy(update={"logprobs": True})
    most = ASKED.model_copy(update={"logprobs": True, "top_logprobs": 5})
    for request, made in [(ASKED, 1), (more, 2), (ASKED, 2), (most, 3), (more, 3)]:
        ask(tmp_path / "c", model, request)
        assert len(model.requests) == made


def test_equal_calls_that_are_made_side_by_side_are_on_one_bill(tmp_path: Path) -> None:
    model = ScriptedBackend(
        lambda request: "a b c", latency=1.0, price=Price(input=1.0, output=2.0)
    )

    async def main() -> None:
        with open_calls(tmp_path / "c") as store:
            kept = Kept(model, store, {})
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(kept.generate, ASKED, Meter())
            again = Kept(model, store, {})
            await again.generate(ASKED, Meter())
        ((name, bill),) = kept.bills.items()
        assert (bill.calls, bill.prompt_tokens, bill.completion_tokens) == (2, 4, 6)
        assert bill.cost_usd == pytest.approx(16e-6)
        assert {name: again.replays[name].total_tokens} == {name: 5}
        assert (kept.replays, again.bills) == ({}, {})

    virtual_run(main)


def test_failed_calls_are_not_kept(tmp_path: Path) -> None:
    model = ScriptedBackend(lambda request: "a")
    down = [True, False]
    flaky = FlakyBackend(model, lambda request: down.pop(0))

    async def main() -> None:
        with open_calls(tmp_path / "c") as store:
            kept = Kept(flaky, store, {})
            with pytest.raises(BackendUnavailable):
                await kept.generate(ASKED, Meter())
            await kept.generate(ASKED, Meter())
            assert (kept.made, kept.replayed) == (1, 0)

    anyio.run(main)


def test_a_listener_hears_a_kept_answer(tmp_path: Path) -> None:
    heard: list[str] = []

    async def main() -> None:
        with open_calls(tmp_path / "c") as store:
            for _ in range(2):
                kept = Kept(ScriptedBackend(["a b"] * 2), store, {})
                await kept.generate(ASKED, Meter(listener=heard.append))

    anyio.run(main)
    assert heard == ["a b", "a b"]


OLDER = b"""{"detail": 0, "prompt_tokens": 2, "completion_tokens": 1, "cached_tokens": 0, \
"attempts": 1, "hedged": false}
{"text": "a", "model": "m"}"""
"""A call of which nobody knows how long it took."""


@pytest.mark.parametrize("kept_then", [b"nonsense", OLDER])
def test_what_another_version_wrote_is_asked_again(tmp_path: Path, kept_then: bytes) -> None:
    async def main() -> None:
        with open_calls(tmp_path / "c") as store:
            model = ScriptedBackend(lambda request: "a", price=Price(input=0.0, output=0.0))
            kept = Kept(model, store, {})
            store.put(kept._key(ASKED), kept_then)
            await kept.generate(ASKED, Meter())
            assert kept.made == 1

    anyio.run(main)
