from __future__ import annotations

import time

import anyio
import pytest

from tts.backends import Meter
from tts.errors import BackendUnavailable
from tts.messages import Message, Request
from tts.testing import FlakyBackend, ScriptedBackend, completion, virtual_run

ASK = Request(messages=(Message(role="user", content="one two"),))


def test_virtual_time_jumps_over_waits() -> None:
    async def main() -> float:
        began = anyio.current_time()
        await anyio.sleep(3600)
        return anyio.current_time() - began

    began = time.monotonic()
    assert virtual_run(main) == pytest.approx(3600)
    assert time.monotonic() - began < 600


def test_virtual_time_keeps_the_order_of_events() -> None:
    seen: list[int] = []

    async def note(seconds: int) -> None:
        await anyio.sleep(seconds)
        seen.append(seconds)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for seconds in (5, 1, 3, 4, 2):
                tasks.start_soon(note, seconds)

    virtual_run(main)
    assert seen == [1, 2, 3, 4, 5]


def test_virtual_run_passes_errors_on() -> None:
    async def main() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        virtual_run(main)


def test_scripted_list_answers_in_turn_and_says_when_it_ends() -> None:
    backend = ScriptedBackend(["a", "b c"])

    async def main() -> tuple[str, int]:
        first = await backend.generate(ASK, Meter())
        second = await backend.generate(ASK, Meter())
        with pytest.raises(LookupError, match="no answer left"):
            await backend.generate(ASK, Meter())
        return first.text + second.text, second.usage.total_tokens

    assert virtual_run(main) == ("ab c", 4)
    assert backend.requests == [ASK] * 3


def test_scripted_calls_overlap_when_they_take_time() -> None:
    backend = ScriptedBackend(lambda request: "a", latency=1.0)

    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(backend.generate, ASK, Meter())
        return anyio.current_time()

    assert virtual_run(main) == pytest.approx(1.0)
    assert (backend.most_active, backend.active) == (5, 0)


def test_flaky_fails_what_it_is_told_to() -> None:
    flaky = FlakyBackend(ScriptedBackend(lambda request: "a"), fails=lambda r: r.ticket == 1)

    async def main() -> None:
        assert (await flaky.generate(ASK, Meter())).text == "a"
        with pytest.raises(BackendUnavailable):
            await flaky.generate(ASK.model_copy(update={"ticket": 1}), Meter())

    virtual_run(main)


def test_virtual_time_tells_a_deadlock() -> None:
    async def main() -> None:
        await anyio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        virtual_run(main)


@pytest.mark.parametrize(("most", "text", "finish"), [(2, "a b", "length"), (3, "a b c", "stop")])
def test_scripted_text_is_cut_at_max_tokens(most: int, text: str, finish: str) -> None:
    asked = ASK.model_copy(update={"max_tokens": most})
    made = virtual_run(lambda: ScriptedBackend(["a b c"]).generate(asked, Meter()))
    assert (made.text, made.finish_reason, made.usage.completion_tokens) == (text, finish, most)


def test_scripted_completion_is_passed_on_as_it_is() -> None:
    said = completion("a b c", logprob=-1.0, prompt_tokens=9)
    asked = ASK.model_copy(update={"max_tokens": 1})
    assert virtual_run(lambda: ScriptedBackend([said]).generate(asked, Meter())) == said


def test_scripted_model_scores_a_given_text_without_its_script() -> None:
    asked = ASK.model_copy(update={"given": "x y z"})
    made = virtual_run(lambda: ScriptedBackend([]).generate(asked, Meter()))
    assert (made.text, made.usage.prompt_tokens, made.usage.completion_tokens) == ("x y z", 5, 0)
    assert made.mean_logprob == -0.5


def test_scripted_model_charges_a_cancelled_call_for_its_prompt() -> None:
    meter = Meter()

    async def main() -> None:
        with anyio.move_on_after(1.0):
            await ScriptedBackend(["a"], latency=5.0).generate(ASK, meter)

    virtual_run(main)
    assert (meter.prompt_tokens, meter.completion_tokens) == (2, 0)
