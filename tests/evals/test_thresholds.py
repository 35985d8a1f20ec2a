from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies.scripts import acting, roles
from tts import ConfigError, Pipeline, Request
from tts.backends import Given
from tts.evals import thresholds
from tts.evals.thresholds import Point, best, curve, frontier
from tts.testing import ScriptedBackend


def worker() -> ScriptedBackend:
    """System 1 is wrong, System 2 right about the half; the last step says what it knows."""

    def last(request: Request) -> str:
        text = request.messages[0].content
        return "Answer: 2" if "Find" in text or "half: 2" in text else "Answer: 7"

    return acting(
        decompose="1. half []\n2. whole [1]", difficulty="0.4", direct="Answer: 1", solve=last
    )


def swept(backend: ScriptedBackend, **settings: Any) -> list[Point]:
    chosen: dict[str, Any] = {
        "use": "selective_allocation",
        "calibrate": True,
        "candidates": 1,
        **settings,
    }
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=chosen)  # type: ignore[arg-type]  # parsed by the field
    problems = [pipeline.problem(text) for text in ("p", "q")]

    async def main() -> list[Point]:
        return await curve(pipeline, problems, ["2", "2.0"], taus=[0.0, 0.3, 0.4, 1.0])

    return anyio.run(main)


def test_curve_tells_accuracy_and_both_costs_at_each_threshold() -> None:
    points = swept(worker())
    assert [(point.tau, point.accuracy) for point in points] == [(0, 1), (0.3, 1), (0.4, 0), (1, 0)]
    assert [point.hard for point in points] == [1.0, 1.0, 0.5, 0.0]
    assert all(0 < point.critical_tokens <= point.total_tokens for point in points)
    assert all(point.low <= point.accuracy <= point.high for point in points)


def test_thresholds_that_part_the_steps_alike_are_solved_once() -> None:
    backend = worker()
    swept(backend)
    assert roles(backend).count("decompose") == 2 * 3
    backend = worker()
    swept(backend, difficulty="in_context")
    assert roles(backend).count("decompose") == 2 * 4


def test_another_strategy_has_no_threshold() -> None:
    pipeline = Pipeline(models={"m": Given(backend=worker())}, strategy="self_consistency")  # type: ignore[arg-type]  # parsed by the field
    with pytest.raises(ConfigError, match="only selective_allocation"):
        anyio.run(lambda: curve(pipeline, [pipeline.problem("p")], ["1"]))


def point(tau: float, accuracy: float, tokens: float) -> Point:
    return Point(tau, accuracy, 0.0, 1.0, tokens, tokens, 0.0)


POINTS = st.lists(
    st.builds(
        point,
        st.integers(0, 10).map(lambda tenth: tenth / 10),
        st.integers(0, 4).map(lambda quarter: quarter / 4),
        st.integers(1, 5).map(float),
    ),
    min_size=1,
    max_size=8,
)


@given(POINTS)
def test_nothing_on_the_frontier_is_beaten_and_the_best_is_on_it(points: list[Point]) -> None:
    kept = frontier(points)
    assert best(points) in kept
    for one in kept:
        for other in points:
            as_good = other.accuracy >= one.accuracy and other.total_tokens <= one.total_tokens
            better = other.accuracy > one.accuracy or other.total_tokens < one.total_tokens
            assert not (as_good and better)


def test_command_prints_the_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline, data = tmp_path / "p.yaml", tmp_path / "d.jsonl"
    pipeline.write_text(
        "models: {m: {backend: reference}}\n"
        "strategy: {use: selective_allocation, calibrate: true, candidates: 1}\n"
    )
    question = "There are 7 coins. There are 5 more jars than coins. How many jars are there?"
    data.write_text(json.dumps({"input": question, "answer": 12}) + "\n")
    thresholds.main([str(pipeline), "--data", str(data), "--taus", "0", "1"])
    assert "tau  accuracy" in capsys.readouterr().out
    thresholds.main([str(pipeline), "--data", str(data), "--taus", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["best"] == 1.0
