"""The solver in Inspect AI's own evaluation, on its mock model: `make inspect-test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, ModelEvent
from inspect_ai.model import GenerateConfig, Model, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match

from tts import Meter, Pipeline
from tts.backends.inspect import Inspect
from tts.errors import ConfigError
from tts.evals.inspect_solver import inspect_solver
from tts.messages import Message, Request

pytestmark = pytest.mark.filterwarnings("ignore")  # of Inspect's own: streams, renamed parameters

QUESTIONS = {"What is 3 + 4?": "7", "What is 20 - 9?": "11"}
PIPELINE: dict[str, Any] = {
    "models": {"main": {"backend": "inspect"}},
    "strategy": {"use": "self_consistency", "samples": 5, "stop": "never"},
}


class Answering:
    """Answers right but for every third call; each call counts 10 tokens in and 5 out."""

    def __init__(self) -> None:
        self.configs: list[GenerateConfig] = []

    def __call__(self, input: list[Any], tools: Any, choice: Any, config: Any) -> ModelOutput:  # noqa: A002  # Inspect's name
        self.configs.append(config)
        asked = next(right for text, right in QUESTIONS.items() if text in input[-1].text)
        said = "0" if len(self.configs) % 3 == 0 else asked
        output = ModelOutput.from_content("mockllm/model", f"Answer: {said}")
        output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15)
        return output


def mock(answering: Answering) -> Model:
    return get_model("mockllm/model", custom_outputs=answering, memoize=False)


def run(
    tmp_path: Path, answering: Answering, settings: dict[str, Any] | None = None, **limits: Any
) -> EvalLog:
    dataset = [
        Sample(id=index, input=text, target=right)
        for index, (text, right) in enumerate(QUESTIONS.items())
    ]
    pipeline = Pipeline.model_validate(settings or PIPELINE)
    task = Task(dataset=dataset, solver=inspect_solver(pipeline), scorer=match(numeric=True))
    (log,) = evaluate(task, model=mock(answering), log_dir=str(tmp_path), display="none", **limits)
    return log


def accuracy(log: EvalLog) -> float:
    assert log.results is not None
    return float(log.results.scores[0].metrics["accuracy"].value)


def test_a_vote_is_scored_and_every_call_is_in_the_log(tmp_path: Path) -> None:
    log = run(tmp_path, Answering())
    assert (log.status, accuracy(log)) == ("success", 1.0)
    for sample in log.samples or ():
        calls = [event for event in sample.events if isinstance(event, ModelEvent)]
        assert len(calls) == 5
        assert sample.model_usage["mockllm/model"].total_tokens == 75
        report = sample.store["tts"]
        assert (report["usage"]["calls"], report["usage"]["total_tokens"]) == (5, 75)


def test_sampling_settings_and_seeds_reach_the_model(tmp_path: Path) -> None:
    answering = Answering()
    model = {"backend": "inspect", "sampling": {"temperature": 0.3, "max_tokens": 77}}
    run(tmp_path, answering, PIPELINE | {"models": {"main": model}})
    assert {(each.temperature, each.max_tokens) for each in answering.configs} == {(0.3, 77)}
    assert len({each.seed for each in answering.configs}) == 10


def test_a_token_limit_ends_the_sample_and_what_was_found_is_scored(tmp_path: Path) -> None:
    log = run(tmp_path, Answering(), token_limit=40, max_connections=1)
    assert accuracy(log) == 1.0
    for sample in log.samples or ():
        assert sample.limit is not None
        assert sample.limit.type == "token"
        assert sample.store["tts"]["status"] == "budget_exhausted"
        assert sample.store["tts"]["answer"] == sample.target


def test_a_stopping_rule_saves_calls_that_inspect_counts(tmp_path: Path) -> None:
    answering = Answering()
    strategy = {"use": "self_consistency", "samples": 16, "stop": "dominance"}
    run(tmp_path, answering, PIPELINE | {"strategy": strategy})
    assert len(answering.configs) < 32


def test_an_error_of_the_model_is_an_error_of_the_sample(tmp_path: Path) -> None:
    class Failing(Answering):
        def __call__(self, *arguments: Any) -> ModelOutput:
            raise RuntimeError("the mock is broken")

    log = run(tmp_path, Failing())
    assert log.status == "error"
    assert log.error is not None
    assert "the mock is broken" in log.error.message


def test_our_own_backends_go_their_own_way(tmp_path: Path) -> None:
    answering = Answering()
    log = run(tmp_path, answering, PIPELINE | {"models": {"main": "reference"}})
    assert answering.configs == []
    for sample in log.samples or ():
        assert sample.model_usage == {}
        assert sample.store["tts"]["usage"]["calls"] == 5


def test_a_model_that_inspect_does_not_know(tmp_path: Path) -> None:
    model = {"backend": "inspect", "model": "nowhere/model"}
    log = run(tmp_path, Answering(), PIPELINE | {"models": {"main": model}})
    assert log.error is not None
    assert "no such model" in log.error.message
    assert "nowhere" in log.error.message


def test_a_given_text_is_refused() -> None:
    request = Request(messages=(Message(role="user", content="What?"),), given="7")

    async def main() -> None:
        async with Inspect(model="mockllm/model").open() as backend:
            await backend.generate(request, Meter())

    with pytest.raises(ConfigError, match="cannot score"):
        anyio.run(main)
