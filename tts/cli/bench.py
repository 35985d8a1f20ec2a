"""`tts bench`: strategies on tasks, at equal cost, with nothing lost when it is interrupted."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, TypeAlias

import anyio
import typer

from tts.cli.bench_table import LiveTable, print_summaries, told_cost
from tts.errors import ConfigError
from tts.evals.bill import Bill
from tts.evals.changes import changed_problems, changes
from tts.evals.checkers.code import allow_code_execution as allow_code
from tts.evals.executor import Executor, Local
from tts.evals.harness import Harness
from tts.evals.holding import held
from tts.evals.progress import Progress
from tts.evals.store import RunStore
from tts.evals.suite import Equal, Suite
from tts.evals.summary import Summary, summarise
from tts.evals.tries import Spent
from tts.tasks import task_scope
from tts.toolboxes import allow_tools as allowing

__all__ = ["CALLS", "EXIT_CODES", "STORE", "bench"]

_AllowCode: TypeAlias = Annotated[
    bool, typer.Option("--allow-code-execution", help="Let checkers run what models wrote.")
]
_Leave: TypeAlias = Callable[[], AbstractContextManager[object]]

EXIT_CODES = """Exit codes:

\b
  0    every problem is solved, right or wrong
  1    a run failed, problems are left, or a file could not be written
  2    the input is wrong; nothing was spent, but for a look at an unknown server
  130  interrupted; --resume goes on
"""
STORE = "run.sqlite"
CALLS = "calls.sqlite"


class _Equal(StrEnum):
    total = "total"
    critical = "critical"
    usd = "usd"


_Equals: TypeAlias = Annotated[
    list[_Equal] | None,
    typer.Option(
        help="Compare with plain votes (self-consistency) at this equal cost; repeatable."
    ),
]
_AllowTools: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Let the suite run this function, module or program; repeatable."),
]


class _Where(StrEnum):
    local = "local"
    ray = "ray"


def bench(
    context: typer.Context,
    suite: Annotated[Path, typer.Argument(help="A suite file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default runs/NAME of the suite.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most problems a task.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in a folder that holds results.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a row for each strategy of each task.")
    ] = False,
    equal: _Equals = None,
    executor: Annotated[
        _Where, typer.Option(help="Where problems are solved: in this process, or by Ray workers.")
    ] = _Where.local,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray workers; default one a processor.")
    ] = None,
    allow_tools: _AllowTools = None,
    allow_code_execution: _AllowCode = False,
) -> None:
    """Compare strategies on tasks: accuracy, both costs, and gains at equal cost."""
    leaves = _leaves(allow_tools or [], code=allow_code_execution)
    folder = out or Path("runs") / suite.stem
    with ExitStack() as stack:
        stack.enter_context(_one_line())
        for leave in leaves:
            stack.enter_context(leave())
        loaded = _load(suite, equal or [])
        place = _executor(executor, workers, leaves)
        harness = Harness(loaded, folder / CALLS, limit, place)
        _make(folder, resume=resume)
        stack.enter_context(held(folder))
        store = stack.enter_context(RunStore(folder / STORE))
        if resume:
            _go_on(store, harness)
        bill = stack.enter_context(harness.paying(store))
        progress = _begin(harness, store, suite, bill)
        # Nothing is left of a finished run, which can be read while its models' servers are off.
        interrupted = bool(harness.jobs(store)) and anyio.run(_solve, harness, store, progress)
        summaries, paid = summarise(store), bill.total()
    _show(summaries, folder, paid, as_json=as_json)
    if progress.done < progress.total or progress.unjudged:
        _tell_how_to_go_on(progress, context, interrupted=interrupted)
    bad = progress.done < progress.total or any(line.failed for line in progress.lines)
    raise typer.Exit(130 if interrupted else int(bad))


@contextmanager
def _one_line() -> Iterator[None]:
    """Say that Ctrl-C has ended what cannot be ended cleanly; typer would say no word."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("tts: interrupted; what was finished is kept, go on with --resume", err=True)
        raise typer.Exit(130) from None


def _go_on(store: RunStore, harness: Harness) -> None:
    """Say what is not as it was, and make room for what failed."""
    before, now = store.about().get("version", ""), version("tts-orchestrator")
    is_other = before not in {"", now}  # none is told of a folder in which nothing was begun
    told = [f"tts {before} wrote what is there, and {now} goes on"] if is_other else []
    told += changes(store.cells(), harness.cells)
    for line in told + changed_problems(store.planned(), harness.examples):
        typer.echo(f"tts: changed since the last run: {line}", err=True)
    jobs = harness.jobs(store)
    unjudged = sum(len(job.unjudged) for job in jobs)
    failed = sum(len(job.tried) for job in jobs) - unjudged
    for verb, count, why in (("tried", failed, "failed"), ("judged", unjudged, "had no verdict")):
        if count:
            runs = "1 run" if count == 1 else f"{count} runs"
            typer.echo(f"tts: {verb} again: {runs} that {why}", err=True)


def _leaves(tools: list[str], *, code: bool) -> list[_Leave]:
    tools_allowed: _Leave = partial(allowing, *tools)
    return [tools_allowed, allow_code] if code else [tools_allowed]


def _show(summaries: list[Summary], folder: Path, paid: Spent, *, as_json: bool) -> None:
    if as_json:
        rows = ",\n".join(json.dumps(each.report(), ensure_ascii=False) for each in summaries)
        typer.echo(f"[{rows}]")
    else:
        print_summaries(summaries)
        typer.echo(
            f"\npaid in all, whatever became of it: {told_cost(paid)}\n"
            f"kept in {folder}; look at it with: tts report {folder}"
        )


def _tell_how_to_go_on(progress: Progress, context: typer.Context, *, interrupted: bool) -> None:
    unjudged = f", {progress.unjudged} of them not judged" if progress.unjudged else ""
    typer.echo(
        f"tts: {'interrupted; ' if interrupted else ''}{progress.done} of {progress.total} are "
        f"kept{unjudged}, go on with: {_command(context)}",
        err=True,
    )


def _command(context: typer.Context) -> str:
    """Return the command with all that it was given, and --resume."""
    words = ["tts", "bench"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.param_type_name == "argument":
            words.append(str(value))
        elif parameter.name == "resume" or value in (None, False, parameter.default):
            continue
        else:
            for each in value if isinstance(value, list | tuple) else (value,):
                given = each.value if isinstance(each, StrEnum) else str(each)
                words += [parameter.opts[0], *([] if each is True else [given])]
    return shlex.join([*words, "--resume"])


def _load(path: Path, equal: list[_Equal]) -> Suite:
    suite = Suite.load(path)
    names: list[Equal] = [each.value for each in equal]
    return suite.with_equal(*dict.fromkeys(names)) if names else suite


def _executor(where: _Where, workers: int | None, leaves: list[_Leave]) -> Executor:
    if where is _Where.ray:
        from tts.evals.ray_executor import RayExecutor

        return RayExecutor(workers, leaves)
    if workers is not None:
        raise ConfigError("--workers counts Ray workers: add --executor ray")
    return Local()


def _make(folder: Path, *, resume: bool) -> None:
    """Make the folder of the results, unless somebody's results are in it."""
    store = folder / STORE
    if store.exists() and not resume:
        with RunStore(store) as old:
            rows = old.count()
        if rows:
            raise ConfigError(
                f"{folder} holds {rows} results: go on with --resume, or give another --out"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder: {error.strerror}", path=str(folder)) from error


def _begin(harness: Harness, store: RunStore, path: Path, bill: Bill) -> Progress:
    """Write down what is planned; return the progress with what is done already."""
    suite, cells, planned = harness.suite, harness.cells, harness.planned
    store.plan(cells, harness.examples)
    about = {
        "suite": suite.model_dump(mode="json"),
        "suite_path": str(path),
        "version": version("tts-orchestrator"),
        "equal": suite.equal,
        "problems": planned,
    }
    began = store.about().get("began", datetime.now(UTC).isoformat(timespec="seconds"))
    store.tell({**about, "began": began})
    progress = Progress(cells, planned, bill.total)
    for cell in cells:
        for row in store.rows(cell, texts=False):
            progress.add(cell, row, is_old=True)
    return progress


async def _solve(harness: Harness, store: RunStore, progress: Progress) -> bool:
    """Solve what is missing; return True if Ctrl-C ended it. A second one ends the process."""
    interrupted = False

    async def watch() -> None:
        nonlocal interrupted
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if interrupted:
                    _leave_at_once(table)
                interrupted = True
                work.cancel()

    with LiveTable(progress) as table:
        harness.on_row = table.add
        async with task_scope() as tasks:
            tasks.start_soon(watch)
            with anyio.CancelScope() as work:
                for trouble in await harness.run(store):
                    typer.echo(f"tts: {trouble}", err=True)
    return interrupted


def _leave_at_once(table: LiveTable) -> None:
    """End the process as a kill would: what is on the disk stays, and nothing is waited for."""
    table.close()
    typer.echo("tts: interrupted twice; what was finished is kept, go on with --resume", err=True)
    os._exit(130)
