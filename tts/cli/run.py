"""`tts run`: solve one problem, or a file of them, with a pipeline."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
import typer

from tts.cli.display import Display
from tts.errors import ConfigError, TTSError
from tts.layers import Record, Trace, tee, trace_file
from tts.pipeline import Pipeline
from tts.problem import Problem, Solution
from tts.problem_files import read_problems
from tts.solver import Solver, open_solver
from tts.spans import seed_of
from tts.stopping import StoppingRule
from tts.stopping.calibration import tokens_of
from tts.tasks import task_scope
from tts.toolboxes import allow_tools as allowing

__all__ = ["ManyProblems", "OneProblem", "run"]

_T = TypeVar("_T")
_GRACE_SECONDS = 5.0


def run(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline file.", show_default=False)],
    text: Annotated[
        str | None, typer.Option("--input", "-i", help="The problem; - reads standard input.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option(help="JSON lines, a problem each: input, problem or question.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same texts.")] = 0,
    trace: Annotated[Path | None, typer.Option(help="Write what happens, as JSON lines.")] = None,
    trace_texts: Annotated[
        bool, typer.Option(help="Put prompts and completions into the trace.")
    ] = False,
    otel: Annotated[
        bool, typer.Option(help="Send OpenTelemetry spans, as the OTEL_... variables say.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Problems of a file under way at once.")
    ] = 8,
    allow_tools: Annotated[
        list[str] | None,
        typer.Option(help="Let the pipeline run this function, module or program; repeatable."),
    ] = None,
) -> None:
    """Solve a problem with a pipeline."""
    with allowing(*(allow_tools or ())):
        loaded = Pipeline.load(pipeline)
    if (text is None) == (input_file is None):
        raise ConfigError("give the problem with --input TEXT, --input -, or --input-file FILE")
    if trace_texts and trace is None and not otel:
        raise ConfigError("--trace-texts needs a trace to put them into: add --trace FILE")
    if input_file is not None:
        problems = read_problems(loaded, input_file)
    else:
        problem = loaded.problem(_stdin() if text == "-" else _argument(text or ""))
    with ExitStack() as stack:
        sink = stack.enter_context(_sink(trace, otel, trace_texts))
        if input_file is None:
            one = OneProblem(loaded, problem, seed, Trace(sink, texts=trace_texts), as_json)
            code = anyio.run(one.main)
        else:
            batch = ManyProblems(loaded, problems, seed, sink, trace_texts, concurrency)
            code = anyio.run(batch.main)
    raise typer.Exit(code)


@contextmanager
def _sink(trace: Path | None, otel: bool, texts: bool) -> Iterator[Callable[[Record], None] | None]:
    with ExitStack() as stack:
        sinks = [stack.enter_context(trace_file(trace))] if trace else []
        if otel:
            from tts.layers.otel import open_spans  # an extra

            sinks.append(stack.enter_context(open_spans(texts=texts)))
        yield tee(*sinks) if sinks else None


def _argument(text: str) -> str:
    """Return what was typed, whatever the locale made of its bytes."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--input is not UTF-8 at byte {error.start}") from error


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"standard input is not UTF-8 at byte {error.start}") from error


class OneProblem:
    """One problem: live on a terminal, plain on a pipe, or JSON."""

    def __init__(
        self, pipeline: Pipeline, problem: Problem, seed: int, trace: Trace, as_json: bool
    ) -> None:
        self.pipeline, self.problem, self.seed = pipeline, problem, seed
        self.trace, self.as_json = trace, as_json

    async def main(self) -> int:
        """Solve and print; return the exit code."""
        async with open_solver(self.pipeline) as solver:
            if self.as_json:
                solution, interrupted = await _interruptible(solver, lambda: self._solve(solver))
                if solution is not None:
                    typer.echo(json.dumps(solution.report(), ensure_ascii=False))
            else:
                solution, interrupted = await self._show(solver)
        _tell_trouble(solver)
        if self.trace.failure is not None:
            typer.echo(f"tts: the trace is incomplete: {self.trace.failure}", err=True)
        answered = solution is not None and solution.answer is not None
        return 130 if interrupted else int(not answered)

    async def _show(self, solver: Solver) -> tuple[Solution | None, bool]:
        display = Display(f"{self.pipeline.strategy.name} on {_named(solver)}")
        with display:
            solution, interrupted = await _interruptible(
                solver, lambda: self._solve(solver, display)
            )
        if solution is not None:
            display.finish(solution, interrupted=interrupted)
        return solution, interrupted

    async def _solve(self, solver: Solver, display: Display | None = None) -> Solution:
        return await solver.solve(
            self.problem,
            seed=self.seed,
            trace=self.trace,
            on_update=display.update if display else None,
        )


class ManyProblems:
    """Many problems with bounded concurrency; JSON lines in the order of the input."""

    def __init__(
        self,
        pipeline: Pipeline,
        problems: list[Problem],
        seed: int,
        sink: Callable[[Record], None] | None,
        texts: bool,
        concurrency: int,
    ) -> None:
        self.pipeline, self.problems, self.seed = pipeline, problems, seed
        self.sink, self.texts = sink, texts
        self.slots = anyio.Semaphore(concurrency)
        self.done: dict[int, dict[str, Any]] = {}
        self.tokens: dict[int, int] = {}
        rule = getattr(pipeline.strategy, "stop", None)
        self.watch = rule.watch(seed) if isinstance(rule, StoppingRule) else None
        self.printed = self.failed = 0

    async def main(self) -> int:
        """Solve and print all; return the exit code."""
        async with open_solver(self.pipeline) as solver:
            _, interrupted = await _interruptible(solver, lambda: self._all(solver))
        _tell_trouble(solver)
        return 130 if interrupted else int(self.failed > 0)

    async def _all(self, solver: Solver) -> None:
        async with anyio.create_task_group() as tasks:
            for index in range(len(self.problems)):
                await self.slots.acquire()
                tasks.start_soon(self._solve, solver, index)

    async def _solve(self, solver: Solver, index: int) -> None:
        problem = self.problems[index]
        try:
            solution = await solver.solve(
                problem,
                seed=seed_of(self.seed, "batch", index),
                trace=Trace(self.sink, texts=self.texts),
            )
            report = solution.report()
            self.tokens[index] = tokens_of(solution.candidates)
            if solver.is_interrupted and not solution.usage.calls:
                report = {"error": "interrupted before its first call"}
        except Exception as error:  # whatever one problem does, the others go on
            self.failed += 1
            known = isinstance(error, TTSError)
            report = {"error": str(error) if known else f"internal error: {error!r}"}
        finally:
            self.slots.release()
        self.done[index] = {"id": problem.id, **report}
        while self.printed in self.done:
            report = self.done.pop(self.printed)
            typer.echo(json.dumps(report, ensure_ascii=False))
            tokens = self.tokens.pop(self.printed, 0)
            self.printed += 1
            if self.watch is not None and report.get("status") in {"ok", "no_answer"}:
                trouble = self.watch(report["samples"], tokens)
                if trouble:
                    typer.echo(f"tts: problem {report['id']}: {trouble}", err=True)


def _named(solver: Solver) -> str:
    """Name the models as servers know them; several also as the pipeline does."""
    names = {name: stack.top.name for name, stack in solver.stacks.items()}
    if len(names) == 1:
        return next(iter(names.values()))
    return ", ".join(f"{model} ({name})" for name, model in names.items())


def _tell_trouble(solver: Solver) -> None:
    for stack in solver.stacks.values():
        if stack.trouble is not None:
            typer.echo(f"tts: {stack.trouble}", err=True)


async def _interruptible(
    solver: Solver, work: Callable[[], Awaitable[_T]]
) -> tuple[_T | None, bool]:
    """Let Ctrl-C end the budgets, so that partial answers come back; a second one cancels."""
    interrupted = False
    result: _T | None = None

    async def watch() -> None:
        nonlocal interrupted
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if interrupted:
                    tasks.cancel_scope.cancel()
                interrupted = True
                solver.interrupt()
                tasks.cancel_scope.deadline = anyio.current_time() + _GRACE_SECONDS

    async with task_scope() as tasks:
        tasks.start_soon(watch)
        result = await work()
    return result, interrupted
