from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from tests.layers.asking import Moody
from tests.play import answering, noise
from tts import Meter, Pipeline, Provider, Solution, solve
from tts.backends import Backend, Given
from tts.backends.openai import OpenAI
from tts.backends.replay import Replay
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendUnavailable,
    ConfigError,
    RateLimited,
)
from tts.messages import Message, Request, Sampling
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run


def asking(text: str = "What?", **fields: Any) -> Request:
    return Request.model_validate({"messages": ({"role": "user", "content": text},)} | fields)


def replay(path: Path, mode: str = "play", backend: Backend | None = None) -> Replay:
    of = None if backend is None else Given(backend=backend)
    return Replay.model_validate({"cassette": path, "mode": mode, "of": of})


def asked(provider: Provider, *requests: Request) -> list[str]:
    async def main() -> list[str]:
        async with provider.open() as backend:
            return [(await backend.generate(request, Meter())).text for request in requests]

    return virtual_run(main)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def vote(model: Any, **settings: Any) -> Solution:
    strategy = {"use": "self_consistency", "samples": 6, **settings}
    return virtual_run(lambda: solve("What?", strategy, model=model))


def same(one: Solution, other: Solution) -> bool:
    ignored = {"trace_id": "", "usage": one.usage}
    times = {"wall_seconds": 0.0, "critical_seconds": 0.0}
    return one.model_copy(update=ignored) == other.model_copy(update=ignored) and (
        one.usage.model_copy(update=times) == other.usage.model_copy(update=times)
    )


def test_a_recorded_vote_is_the_same_when_it_is_played(path: Path) -> None:
    model = answering(["1", "2", "1", "1", None, "2"], latency=noise(0))
    recorded = vote(replay(path, "record", model))
    assert same(recorded, vote(replay(path)))
    assert len(model.requests) <= 6


def test_calls_that_were_cancelled_are_cancelled_again(path: Path) -> None:
    model = answering(["1"] * 6, latency=lambda request: 1.0 + request.ticket)
    recorded = vote(replay(path, "record", model), stop={"use": "dominance"})
    takes = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert recorded.samples == 3  # a lead of three of six, with the first ticket
    assert same(recorded, vote(replay(path), stop={"use": "dominance"}))
    assert sum("completion" in take for take in takes) == 3


def test_a_cancelled_take_that_is_needed_after_all_is_an_error(path: Path) -> None:
    async def main() -> None:
        async with replay(path, "record", answering(["1"], latency=9)).open() as backend:
            with anyio.move_on_after(1):
                await backend.generate(asking(seed=1), Meter())

    virtual_run(main)
    with pytest.raises(ConfigError, match="was cancelled"):
        asked(replay(path), asking(seed=1))
    extended = replay(path, "extend", ScriptedBackend(["now"]))
    assert asked(extended, asking(seed=1)) == ["now"]


def test_without_a_seed_each_take_is_played_once_in_order(path: Path) -> None:
    asked(replay(path, "record", ScriptedBackend(["a", "b"])), asking(), asking())
    assert asked(replay(path), asking(), asking()) == ["a", "b"]
    with pytest.raises(ConfigError, match="used up"):
        asked(replay(path), *[asking()] * 3)


def test_with_a_seed_the_answer_is_given_again(path: Path) -> None:
    asked(replay(path, "record", ScriptedBackend(["a"])), asking(seed=1))
    assert asked(replay(path), *[asking(seed=1)] * 3) == ["a"] * 3


def test_place_and_patience_determine_no_answer(path: Path) -> None:
    asked(replay(path, "record", ScriptedBackend(["a"])), asking(seed=1, role="x", ticket=3))
    elsewhere = asking(seed=1, role="y", span="run", ticket=9, timeout=5.0)
    assert asked(replay(path), elsewhere) == ["a"]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (asking("What?", seed=2), r"line 2, differs in seed \(recorded 1, asked 2\)"),
        (asking("What!", seed=1), "line 2, differs in messages"),
        (asking("Else", seed=3, temperature=0.1), "line 3, differs in temperature"),
    ],
)
def test_a_miss_names_the_nearest_request(path: Path, other: Request, says: str) -> None:
    recorded = [asking("What?", seed=1), asking("Else", seed=3)]
    asked(replay(path, "record", ScriptedBackend(["a", "b"])), *recorded)
    with pytest.raises(ConfigError, match=says) as caught:
        asked(replay(path), other)
    assert caught.value.path == str(path)


def test_extending_asks_for_what_is_missing_only(path: Path) -> None:
    asked(replay(path, "extend", ScriptedBackend(["a"])), asking(seed=1))
    extended = replay(path, "extend", ScriptedBackend(["b"]))
    assert asked(extended, asking(seed=1), asking(seed=2)) == ["a", "b"]
    assert asked(replay(path), asking(seed=2), asking(seed=1)) == ["b", "a"]


def test_recording_over_a_cassette_is_refused(path: Path) -> None:
    asked(replay(path, "record", ScriptedBackend(["a"])), asking(seed=1))
    with pytest.raises(ConfigError, match="mode: extend"):
        asked(replay(path, "record", ScriptedBackend(["a"])), asking(seed=1))


def test_extending_another_models_cassette_is_refused(path: Path) -> None:
    asked(replay(path, "record", ScriptedBackend(["a"])), asking(seed=1))
    other = ScriptedBackend(["a"])
    other.name = "other"
    with pytest.raises(ConfigError, match="scripted, not of other"):
        asked(replay(path, "extend", other), asking(seed=2))


ERRORS: list[Callable[[], BackendError]] = [
    lambda: RateLimited("slow", retry_after=3.0),
    lambda: BackendUnavailable("down", status=503),
    lambda: AuthenticationError("no key", status=401),
    lambda: BackendError("no", status=400),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_failed_call_fails_again(path: Path, error: Callable[[], BackendError]) -> None:
    flaky = FlakyBackend(ScriptedBackend([]), lambda request: True, error)
    seen = []
    for provider in (replay(path, "record", flaky), replay(path)):
        with pytest.raises(BackendError) as caught:
            asked(provider, asking(seed=1))
        seen.append((type(caught.value), str(caught.value), vars(caught.value)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "text", ["", "no json\n", '{"cassette": 9, "name": "m", "capabilities": {}}\n', "[]\n"]
)
def test_another_file_is_no_cassette(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match="no cassette"):
        asked(replay(path))


def test_a_missing_cassette_says_so(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the cassette"):
        asked(replay(path))


def test_recording_needs_somebody_to_ask(path: Path) -> None:
    with pytest.raises(ValidationError, match="needs the model to ask"):
        replay(path, "record")


def test_sampling_belongs_beside_the_cassette(path: Path) -> None:
    hot = Given(backend=ScriptedBackend([]), sampling=Sampling(temperature=0.1))
    with pytest.raises(ValidationError, match="beside cassette"):
        Replay(cassette=path, mode="record", of=hot)
    Replay(cassette=path, mode="record", of=hot, sampling=Sampling(temperature=0.1))


def test_abilities_and_price_are_played_too(path: Path) -> None:
    model = ScriptedBackend(["a"])
    asked(replay(path, "record", model), asking(seed=1))

    async def main() -> None:
        async with replay(path).open() as backend:
            assert isinstance(backend, Backend)
            assert (backend.name, backend.price) == ("scripted", model.price)
            assert backend.capabilities == model.capabilities
            assert backend.prompt_tokens(asking()) == 5 + 16 + 16

    virtual_run(main)


def test_a_pipeline_file_can_name_it(tmp_path: Path, path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        f"models: {{m: {{backend: replay, cassette: {path}, mode: extend, of: reference}}}}\n"
        "strategy: {use: self_consistency, samples: 2}\n"
    )
    provider = Pipeline.load(file).models["m"]
    assert isinstance(provider, Replay)
    assert Message(role="user", content="x") in asking("x").messages


def test_a_failure_that_was_recorded_does_not_answer_the_next_attempt(path: Path) -> None:
    model = Moody([BackendUnavailable("busy", status=503)], ScriptedBackend(["Answer: 7"]))
    recorded = vote(replay(path, "record", model), samples=1, stop="never")
    assert (recorded.answer, recorded.failed_calls, len(model.times)) == ("7", 0, 2)
    assert same(recorded, vote(replay(path), samples=1, stop="never"))


def test_a_call_that_was_cancelled_and_asked_again_can_be_played(path: Path) -> None:
    async def main() -> None:
        async with replay(path, "record", answering(["1"], latency=9)).open() as backend:
            with anyio.move_on_after(1):
                await backend.generate(asking(seed=1), Meter())

    virtual_run(main)
    extended = replay(path, "extend", ScriptedBackend(["now"]))
    assert asked(extended, asking(seed=1)) == ["now"]
    assert asked(replay(path), asking(seed=1)) == ["now"]


def test_a_cassette_wants_no_cache(path: Path) -> None:
    with pytest.raises(ValidationError, match="a cache already"):
        Replay.model_validate({"cassette": path, "cache": {}})


def test_recording_tells_what_the_recorded_model_tells(tmp_path: Path) -> None:
    of = OpenAI(base_url="http://localhost:1/v1", model="m", server="vllm")
    recording = Replay(cassette=tmp_path / "tape", mode="record", of=of)
    assert recording.expected() == of.expected()
    assert recording.take_bill() is None
    assert Replay(cassette=tmp_path / "tape").expected() == (None, None)
    assert Replay(cassette=tmp_path / "tape").take_bill() is None
