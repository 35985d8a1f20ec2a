from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import anyio
import pytest

from tts import ConfigError, Pipeline
from tts.backends import Given
from tts.cli import main
from tts.cli.calibrate import Recorder
from tts.cli.run import ManyProblems
from tts.messages import Request
from tts.problem import Problem, Solution
from tts.problem_files import read_problems
from tts.run import Run
from tts.solver import open_solver
from tts.stopping.calibration import Calibration
from tts.stopping.deepconf import DeepConf
from tts.strategies.self_consistency import SelfConsistency
from tts.testing import ScriptedBackend, virtual_run

PIPELINE = """
models:
  solver: {backend: reference, sampling: {temperature: 0.8, max_tokens: 64}}
strategy: {use: self_consistency, samples: 5}
"""
FACTS = "Facts:\\nhats = {}\\nkeys = hats - 1\\nQuestion: keys?"


def lay_out(folder: Path) -> None:
    (folder / "p.yaml").write_text(PIPELINE)
    lines = [f'{{"input": "{FACTS.format(n)}", "answer": "{n - 1}"}}' for n in (3, 4, 5, 6)]
    (folder / "d.jsonl").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The full votes of the problems, drawn once for all tests."""
    folder = tmp_path_factory.mktemp("drawn")
    lay_out(folder)
    pipeline, path = Pipeline.load(folder / "p.yaml"), folder / "votes.jsonl"
    recorder = Recorder(pipeline, frozenset(), seed=0, reuse=path, concurrency=4)
    anyio.run(recorder.record, read_problems(pipeline, folder / "d.jsonl"))
    return path.read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: str) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    (tmp_path / "votes.jsonl").write_text(drawn)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["calibrate", "p.yaml", "--data", "d.jsonl", "--out", "rule.json", *words])
    return int(exit_.value.code or 0)


LOOSE = ("--target", "disagreement<=0.7", "--delta", "0.3", "--reuse", "votes.jsonl")


def test_a_rule_is_calibrated_written_and_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*LOOSE, "--plot", "curve.svg") == 0
    printed = capsys.readouterr().out
    assert "* beta confidence=" in printed
    assert "4 problems, 5 samples in full" in printed
    found = Calibration.load("rule.json")
    assert (found.n, found.samples, len(found.data)) == (4, 5, 32)
    assert found.origin == Pipeline.load("p.yaml").origin()
    assert (folder / "curve.svg").read_text().count("<circle") == len(found.curve)
    use = PIPELINE.replace(
        "samples: 5", "samples: 5, stop: {use: conformal, calibration: rule.json}"
    )
    Path("use.yaml").write_text(use)
    with pytest.raises(SystemExit) as exit_:
        main(["run", "use.yaml", "--input", FACTS.format(3).replace("\\n", "\n"), "--json"])
    assert not exit_.value.code
    assert "same answer as the full vote" in capsys.readouterr().out


def test_samples_and_problems_without_an_answer_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in Path("votes.jsonl").read_text().splitlines()]
    for one in rows[0]["candidates"]:
        one["answer"] = None
    Path("votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(*LOOSE) == 0
    printed = capsys.readouterr().out
    assert "3 problems, 5 samples in full" in printed
    assert "1 more have no answer in any sample" in printed
    found = json.loads(Path("rule.json").read_text())
    assert (found["n"], found["unanswered"], found["drawn"]) == (3, 1, 20)
    assert f"{found['abstentions']} of 20 samples abstain" in printed


@pytest.mark.long
@pytest.mark.parametrize("name", ["curve.png", "curve.pdf"])
def test_the_curve_is_drawn_in_other_formats(folder: Path, name: str) -> None:
    assert run(*LOOSE, "--plot", name) == 0
    start = (folder / name).read_bytes()[:4]
    assert start in (b"\x89PNG", b"%PDF")


def test_a_picture_without_the_extra_is_refused_before_anything_is_paid_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(*LOOSE, "--plot", "curve.png", "--reuse", "none.jsonl") == 2
    assert "pip install 'tts-orchestrator[plot]'" in capsys.readouterr().err
    assert not Path("none.jsonl").exists()
    assert run(*LOOSE, "--plot", "curve.svg") == 0


def test_rules_that_stop_together_are_calibrated_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*LOOSE, "--rule", "any_of") == 0
    assert "any_of rules=(e_process delta=0.7, dominance)" in capsys.readouterr().out


def test_full_votes_are_drawn_once(folder: Path, drawn: str) -> None:
    assert run(*LOOSE) == 0
    assert Path("votes.jsonl").read_text() == drawn
    Path("d.jsonl").write_text(Path("d.jsonl").read_text().splitlines()[0])
    assert run(*LOOSE, "--seed", "1") == 1  # one problem certifies nothing
    assert len(Path("votes.jsonl").read_text().splitlines()) == 5


def test_what_cannot_be_certified_fails_with_what_it_would_take(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--target", "disagreement<=0.05", "--reuse", "votes.jsonl") == 1
    error = capsys.readouterr().err
    assert "4 problems cannot certify 0.05" in error
    assert "about 45 problems" in error
    assert not Path("rule.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "accuracy>=1"], "is no target"),
        ([*LOOSE, "--delta", "1"], "--delta is a chance"),
        ([*LOOSE, "--rule", "never"], "no settings to calibrate"),
        ([*LOOSE, "--rule", "betta"], "did you mean 'beta'?"),
        ([*LOOSE, "--plot", "curve.gif"], "--plot writes .png, .svg, .pdf"),
        ([*LOOSE, "--reuse", "d.jsonl"], "d.jsonl:1: no full vote"),
        ([*LOOSE, "--out", "d.jsonl/rule.json"], "d.jsonl/rule.json: cannot write: its folder"),
        ([*LOOSE, "--out", "."], "cannot write: this is a folder"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err


def test_errors_need_answers_and_a_rule_needs_a_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("d.jsonl").write_text('"a question"\n{"input": "another", "answer": 3}\n')
    assert run("--target", "error<=0.5") == 2
    assert "d.jsonl:1: error<= needs the right answer" in capsys.readouterr().err
    Path("p.yaml").write_text(PIPELINE.replace("self_consistency", "best_of_n"))
    assert run(*LOOSE) == 2
    assert "best_of_n has no rule to calibrate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        ("temperature: 0.8", "temperature: 0.9", "solve.sampling.temperature: was 0.8, is 0.9"),
        ("samples: 5", "samples: 6", "(strategy.samples: was 5, is 6)"),
        ("samples: 5", "samples: 5, vote: confidence", 'vote.use: was "plurality", is "con'),
        ("strategy:", "answer: number\nstrategy:", 'answer.kind: was "auto", is "number"'),
        ("strategy:", "prompts: {solve: 'Q: {{ problem }}'}\nstrategy:", "solve.prompt: was "),
    ],
)
def test_a_pipeline_that_samples_otherwise_refuses_the_calibration(
    folder: Path, change: tuple[str, str, str]
) -> None:
    assert run(*LOOSE) == 0
    text = PIPELINE.replace(*change[:2])

    async def opened() -> None:
        async with open_solver(Pipeline.load("use.yaml")):
            pass

    for extra in ("", ", allow_mismatch: true"):
        rule = f", stop: {{use: conformal, calibration: rule.json{extra}}}}}"
        Path("use.yaml").write_text(text.rstrip().removesuffix("}") + rule)
        if extra:
            anyio.run(opened)
        else:
            with pytest.raises(ConfigError, match=r"use\.yaml:.*make it anew with tts") as refused:
                anyio.run(opened)
            assert change[2] in str(refused.value)


def test_a_batch_of_other_problems_is_warned_of_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*LOOSE) == 0
    tiny = PIPELINE.replace("max_tokens: 64", "max_tokens: 2")  # no answer, so every sample
    Path("p.yaml").write_text(tiny)
    found = Calibration.load("rule.json").model_copy(
        update={
            "origin": Pipeline.load("p.yaml").origin(),
            "used": (1,) * 40,
            "lengths": tuple(range(2, 42)),
        }
    )
    Path("rule.json").write_text(found.dump())
    stop = "samples: 5, stop: {use: conformal, calibration: rule.json}"
    Path("use.yaml").write_text(tiny.replace("samples: 5", stop))
    Path("new.jsonl").write_text('{"input": "What is it?"}\n' * 30)
    with pytest.raises(SystemExit):
        main(["run", "use.yaml", "--input-file", "new.jsonl"])
    assert capsys.readouterr().err.count("since calibration the problems have changed") == 1


class Wasteful(SelfConsistency, name="wasteful"):
    """Pays for a text that is no candidate, as speculation and retries do."""

    async def solve(self, problem: Problem, run: Run) -> Solution:
        await run.generate("thrown away")
        return await super().solve(problem, run)


def test_drift_is_looked_for_in_candidates_not_in_what_getting_them_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend = ScriptedBackend(answer)
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=Wasteful(samples=3))
    problems = [pipeline.problem(f"q{n}") for n in range(2)]
    batch = ManyProblems(pipeline, problems, 0, None, False, 2)
    seen: list[tuple[int, int]] = []
    batch.watch = lambda samples, tokens: seen.append((samples, tokens))
    assert virtual_run(batch.main) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert seen == [(one["samples"], 2 * one["samples"]) for one in reports]
    assert [one["usage"]["completion_tokens"] for one in reports] == [t + 2 for _, t in seen]


def test_what_carries_a_call_does_not_void_a_calibration(folder: Path) -> None:
    first = Pipeline.load("p.yaml").fingerprint()
    Path("p.yaml").write_text(
        PIPELINE.replace("max_tokens: 64}", "max_tokens: 64}, concurrency: 3")
    )
    assert Pipeline.load("p.yaml").fingerprint() == first
    Path("p.yaml").write_text(PIPELINE.replace("samples: 5", "samples: 5, stop: beta"))
    assert Pipeline.load("p.yaml").fingerprint() == first


def answer(request: Request) -> str:
    return f"Answer: {random.Random(request.seed).randrange(3)}"


def test_a_budget_that_ends_a_full_vote_is_refused() -> None:
    backend = ScriptedBackend(answer, latency=1.0)
    pipeline = Pipeline.model_validate(
        {
            "models": {"m": Given(backend=backend)},
            "strategy": SelfConsistency(samples=9),
            "budget": {"calls": 4},
        }
    )
    recorder = Recorder(pipeline, frozenset(), seed=0, reuse=None, concurrency=2)
    problems = [pipeline.problem("What?", id=7)]
    with pytest.raises(ConfigError, match="ended the full vote of problem 7"):
        virtual_run(lambda: recorder.record(problems))


def test_progress_and_cost_of_sampling_are_told_on_standard_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Path("votes.jsonl").read_text().splitlines(keepends=True)
    Path("votes.jsonl").write_text(lines[0])
    assert run(*LOOSE) == 0
    captured = capsys.readouterr()
    first, second, last = captured.err.splitlines()
    assert first.startswith("tts: 1 of 3 problems sampled, about ")
    assert second.startswith("tts: 2 of 3 problems sampled, about ")
    assert last.startswith("tts: 3 problems sampled, 1 taken from the file; 15 calls, ")
    assert last.endswith(" tokens, $0")
    assert "sampled" not in captured.out
    assert run(*LOOSE) == 0
    assert capsys.readouterr().err == ""  # nothing was drawn


def test_what_a_problem_that_failed_has_cost_is_told_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing(SelfConsistency, name="failing_second"):
        async def solve(self, problem: Problem, run: Run) -> Solution:
            solution = await super().solve(problem, run)
            if "Second?" in problem.text:
                raise ConfigError("it cannot go on")
            return solution

    backend = ScriptedBackend(answer)
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=Failing(samples=4))
    recorder = Recorder(pipeline, frozenset(), seed=0, reuse=None, concurrency=1)
    problems = [pipeline.problem(text) for text in ("First?", "Second?")]
    with pytest.raises(ConfigError, match="cannot go on"):
        virtual_run(lambda: recorder.record(problems))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("tts: 1 problems sampled, 1 failed or cut short; 8 calls, ")


def test_a_rule_that_looks_at_alternatives_has_them_asked_for() -> None:
    backend = ScriptedBackend(answer)
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=SelfConsistency(samples=4))
    needs = frozenset({"top_logprobs"})
    recorder = Recorder(pipeline, needs, seed=0, reuse=None, concurrency=2)
    drawn = virtual_run(lambda: recorder.record([pipeline.problem("What?")]))
    assert {request.top_logprobs for request in backend.requests} == {20}
    assert drawn[0][0].completion.logprobs
    json.dumps(recorder.pipeline.strategy.settings())


def test_a_strategy_that_stops_by_deepconf_asks_for_alternatives() -> None:
    backend = ScriptedBackend(answer)
    strategy = SelfConsistency(samples=4, stop=DeepConf(warm_up=2))
    pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=strategy)

    async def main() -> None:
        async with open_solver(pipeline) as solver:
            await solver.solve(pipeline.problem("What?"))

    virtual_run(main)
    assert {request.top_logprobs for request in backend.requests} == {20}
