from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tts.cli import main
from tts.errors import ConfigError
from tts.forecast import Mode, Sampled, make_plan, read_results


def drawn(rates: np.ndarray, samples: int, seed: int = 0) -> list[Sampled]:
    rng = np.random.default_rng(seed)
    return [Sampled(tuple((rng.random(samples) < rate).tolist())) for rate in rates]


def write(path: Path, *lines: object) -> Path:
    path.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    )
    return path


def test_a_plan_finds_the_truth() -> None:
    rates = np.where(np.arange(400) < 240, 0.3, 0.0)
    plan = make_plan(drawn(rates, 32))
    assert (plan.problems, plan.samples, plan.sizes) == (400, 32, (1, 2, 4, 8, 16, 32))
    rate, ceiling = plan.parameters["rate"], plan.parameters["ceiling"]
    assert rate.low <= 0.3 <= rate.high
    assert ceiling.low <= 0.6 <= ceiling.high
    assert plan.enough.low <= 9 <= plan.enough.high
    assert plan.fitted == pytest.approx(plan.measured, abs=0.02)


@pytest.mark.long
def test_problems_that_differ_want_a_mixture() -> None:
    rates = np.random.default_rng(3).beta(0.5, 1.0, 400)
    single, mixture = (make_plan(drawn(rates, 32), mode=mode) for mode in ("single", "beta"))
    assert any("misses" in each for each in single.warnings)
    assert not any("misses" in each for each in mixture.warnings)
    assert mixture.parameters["alpha"].low <= 0.5 <= mixture.parameters["alpha"].high


def test_rounds_are_read_in_order() -> None:
    results = [Sampled((False, True, True, True)), Sampled((True, True, False, True))] * 30
    plan = make_plan(results, mode="two_state")
    assert plan.measured == (0.5, 1.0, 0.5, 1.0)
    assert plan.metric == "rounds"


def test_a_vote_needs_answers_and_warns() -> None:
    with pytest.raises(ConfigError, match="answers"):
        make_plan([Sampled((True, False))], metric="vote")
    answers = ("7", "7", "8", None)
    results = [Sampled((True, True, False, False), answers, "7")] * 40
    plan = make_plan(results, metric="vote")
    assert plan.measured[-1] == 1.0
    assert any("fall" in each for each in plan.warnings)


def test_beyond_what_was_measured_it_warns() -> None:
    plan = make_plan(drawn(np.full(100, 0.05), 8), epsilon=0.001)
    assert plan.enough.value > 8
    assert any("extrapolated" in each for each in plan.warnings)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -1.0])
def test_epsilon_is_a_share(epsilon: float) -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        make_plan([Sampled((True, False))], epsilon=epsilon)


def test_results_are_read_by_either_key(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        {"id": 1, "correct": [True, 0, 1], "note": "x"},
        "",
        {"answers": ["7.0", None, "8"], "right": 7},
    )
    first, second = read_results(path)
    assert first.correct == (True, False, True)
    assert second.correct == (True, False, False)
    assert second.answers[1] is None


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '{"correct": []}', '{"correct": [2]}', '{"answers": ["7"]}',
     '{"answers": [7], "right": "7"}', '{"correct": "yes"}'],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "r.jsonl", {"correct": [True]}, line)
    with pytest.raises(ConfigError, match=r"r\.jsonl:2"):
        read_results(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no problem"):
        read_results(write(tmp_path / "r.jsonl"))


@pytest.mark.long
@pytest.mark.parametrize("mode", ["single", "beta", "two_state"])
def test_command_prints_the_plan(
    mode: Mode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"correct": list(each.correct)} for each in drawn(np.full(50, 0.3), 8)]
    path = str(write(tmp_path / "r.jsonl", *rows))
    with pytest.raises(SystemExit) as ended:
        main(["plan", path, "--mode", mode])
    assert not ended.value.code
    assert "one more brings at most 0.01" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["plan", path, "--mode", mode, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["problems"] == 50
    assert set(told["enough"]) == {"value", "low", "high"}


def test_command_refuses_what_it_cannot_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path / "r.jsonl", {"correct": [True]}))
    with pytest.raises(SystemExit) as ended:
        main(["plan", path])
    assert ended.value.code == 2
    assert "at least 2 different numbers of samples" in capsys.readouterr().err
