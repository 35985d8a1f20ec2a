"""`tts calibrate`: find the setting of a rule that saves most at a certified error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from pydantic import ValidationError

from tts.calibration_curve import figure, plot, table
from tts.cli.sampling import Sampling
from tts.errors import ConfigError
from tts.layers import Trace
from tts.output_files import prepare, write
from tts.pictures import FORMATS, require_plot, save
from tts.pipeline import Pipeline, read_text
from tts.problem import Candidate, Problem
from tts.problem_files import read_problems
from tts.solver import Solver, open_solver
from tts.spans import seed_of
from tts.stopping import Never, StoppingRule
from tts.stopping.calibration import Calibration, Recording, Target, calibrate
from tts.tasks import for_each
from tts.votes import Vote

__all__ = ["FullVote", "Recorder", "calibrate_command"]

_KEYS = ("answer", "target", "gold")


class FullVote(Never, name="never"):
    """Draws every sample, and asks for what the rule to be calibrated will look at."""

    asks: frozenset[str] = frozenset()
    """Abilities that rule needs."""

    @property
    def needs(self) -> frozenset[str]:
        """What that rule needs."""
        return self.asks


def calibrate_command(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline file.", show_default=False)],
    data: Annotated[
        Path, typer.Option(help="JSON lines, a problem each; with answers for error<=.")
    ],
    target: Annotated[
        str, typer.Option(help="disagreement<=LEVEL with the full vote, or error<=LEVEL.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the calibrated rule.")],
    rule: Annotated[str, typer.Option(help="Which rule's settings to try.")] = "beta",
    delta: Annotated[float, typer.Option(help="Chance of a false certificate.")] = 0.1,
    reuse: Annotated[
        Path | None, typer.Option(help="File of full votes: what it holds is not drawn again.")
    ] = None,
    plot_file: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Draw the saving curve: .svg, or .png or .pdf with the extra plot."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same texts.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Problems under way at once.")] = 8,
) -> None:
    """Calibrate a stopping rule on problems like those it will meet."""
    wanted, loaded = Target.parse(target), Pipeline.load(pipeline)
    if not 0.0 < delta < 1.0:
        raise ConfigError(f"--delta is a chance in (0, 1), got {delta:g}")
    _check_plot(plot_file)
    ladder = StoppingRule.named(rule).ladder()
    if not ladder:
        raise ConfigError(f"rule {rule!r} has no settings to calibrate")
    problems = read_problems(loaded, data)
    truths = _truths(data, needed=wanted.kind == "error")
    recorder = Recorder(loaded, ladder[0].needs, seed=seed, reuse=reuse, concurrency=concurrency)
    prepare(out, reuse, plot_file)
    drawn = anyio.run(recorder.record, problems)
    recordings = [Recording(one, truth) for one, truth in zip(drawn, truths, strict=True)]
    vote = loaded.strategy.settings().get("vote")
    vote = None if vote is None else Vote.parse(vote)
    n = recorder.samples
    found = calibrate(ladder, recordings, n, target=wanted, delta=delta, vote=vote)
    found = _signed(found, loaded, problems, recordings)
    write(out, found.dump())
    if plot_file is not None and plot_file.suffix == ".svg":
        write(plot_file, plot(found))
    elif plot_file is not None:
        save(figure(found), plot_file)
    typer.echo(table(found))
    typer.echo(f"written to {out}; use it with stop: {{use: conformal, calibration: {out}}}")


def _check_plot(path: Path | None) -> None:
    if path is None or path.suffix == ".svg":
        return
    if path.suffix not in FORMATS:
        raise ConfigError(f"--plot writes {', '.join(FORMATS)}, and {path} ends otherwise")
    require_plot()


def _signed(
    found: Calibration, pipeline: Pipeline, problems: list[Problem], recordings: list[Recording]
) -> Calibration:
    """Say what the calibration was made with."""
    pairs = zip(problems, recordings, strict=True)
    text = json.dumps([[problem.text, one.truth] for problem, one in pairs])
    return found.model_copy(
        update={
            "origin": pipeline.origin(),
            "models": tuple(sorted({_model(one) for one in recordings} - {""})),
            "data": hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        }
    )


def _model(recording: Recording) -> str:
    return recording.candidates[0].completion.model if recording.candidates else ""


def _truths(path: Path, *, needed: bool) -> list[str | None]:
    """The right answers in the file's order."""
    found: list[str | None] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        row = json.loads(line)  # read_problems has read it before
        key = next((key for key in _KEYS if isinstance(row, dict) and key in row), None)
        if key is None and needed:
            message = f"error<= needs the right answer of each problem: add {_KEYS[0]!r}"
            raise ConfigError(message, path=str(path), line=number)
        found.append(None if key is None else str(row[key]))
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file of full votes holds, by the digest of what was asked."""

    path: Path | None
    votes: dict[str, tuple[Candidate, ...]]

    @classmethod
    def load(cls, path: Path | None) -> _Kept:
        votes: dict[str, tuple[Candidate, ...]] = {}
        lines = read_text(path).split("\n") if path is not None and path.exists() else []
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    row = json.loads(line)
                    kept = tuple(map(Candidate.model_validate, row["candidates"]))
                    votes[row["key"]] = kept
                except (ValueError, KeyError, TypeError, ValidationError) as error:
                    message = "no full vote: use another file, or delete this line"
                    raise ConfigError(message, path=str(path), line=number) from error
        return cls(path, votes)

    def add(self, key: str, candidates: tuple[Candidate, ...]) -> None:
        self.votes[key] = candidates
        if self.path is None:
            return
        row = {"key": key, "candidates": [one.model_dump(mode="json") for one in candidates]}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ConfigError(f"cannot write: {error.strerror}", path=str(self.path)) from error


class Recorder:
    """Samples problems in full, but for those that a file already holds.

    Args:
        pipeline: The pipeline; its strategy has a rule `stop` and a number of `samples`.
        needs: Abilities that the rule will look at.
        seed: Seed of the first problem; the others' follow from it.
        reuse: File that full votes are read from and added to; None keeps none.
        concurrency: Problems under way at once.

    Raises:
        ConfigError: If the strategy has no rule to calibrate, or the file is wrong.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        needs: frozenset[str],
        *,
        seed: int,
        reuse: Path | None,
        concurrency: int,
    ) -> None:
        strategy = pipeline.strategy
        fields: Mapping[str, Any] = type(strategy).model_fields
        if "stop" not in fields or "samples" not in fields:
            raise pipeline.mistake(
                f"{strategy.name} has no rule to calibrate: take one with stop and samples",
                "strategy",
            )
        full = strategy.model_copy(update={"stop": FullVote(asks=needs)})
        self.pipeline = pipeline.model_copy(update={"strategy": full})
        self.samples = int(strategy.settings()["samples"])
        self.kept = _Kept.load(reuse)
        self._seed, self._slots = seed, anyio.Semaphore(concurrency)
        self._asked = f"{pipeline.fingerprint()} {sorted(needs)}"

    async def record(self, problems: list[Problem]) -> list[tuple[Candidate, ...]]:
        """Return all candidates of each problem. Spends samples times problems calls at most.

        Raises:
            BackendError: If all calls of a problem failed; what was drawn before is kept.
            ConfigError: If the budget does not hold a full vote.
        """
        names = [self._name(index, problem) for index, problem in enumerate(problems)]
        missing = [index for index, name in enumerate(names) if name not in self.kept.votes]
        if missing:
            sampling = Sampling(len(names), len(names) - len(missing))
            try:
                async with open_solver(self.pipeline) as solver:
                    work = partial(self._draw, solver, problems, names, sampling)
                    await for_each(work, missing)
            finally:
                sampling.end()
        return [self.kept.votes[name] for name in names]

    def _name(self, index: int, problem: Problem) -> str:
        text = f"{self._asked} {seed_of(self._seed, 'batch', index)} {problem.text}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    async def _draw(
        self,
        solver: Solver,
        problems: list[Problem],
        names: list[str],
        sampling: Sampling,
        index: int,
    ) -> None:
        seed, trace = seed_of(self._seed, "batch", index), Trace(sampling.hear)
        async with self._slots:
            solution = await solver.solve(problems[index], seed=seed, trace=trace)
        if solution.status == "budget_exhausted":
            raise self.pipeline.mistake(
                f"the budget ended the full vote of problem {problems[index].id}: raise it",
                "budget",
            )
        self.kept.add(names[index], solution.candidates)
